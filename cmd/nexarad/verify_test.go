package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/cosmos/gogoproto/proto"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// clearingHeight is the block whose clearing serve-clearing has.
const clearingHeight = 7

// serveClearing sets a variable to the URL of a node that knows one clearing, that of block 7, and nothing else, and
// writes the clearing's model file to a path. The manner says how honest it is: honest; another-width (the record has
// another price width than the file); large (it announces more bytes than a file may have); short (it sends less
// than it announced).
func serveClearing(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: serve-clearing VARIABLE MANNER FILE")
	}
	manner := args[1]
	record, file, err := contestedClearing()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), file, 0o644))
	size := int64(len(file))
	switch manner {
	case "honest":
	case "another-width":
		record.Width++
	case "large":
		size = auction.MaxFileBytes + 1
	case "short":
		size++
	default:
		ts.Fatalf("no manner %q", manner)
	}
	answer := func(path string, request []byte) (proto.Message, error) {
		switch path {
		case "/nexara.tasks.v1.Query/Clearing":
			var q types.QueryClearingRequest
			if err := q.Unmarshal(request); err != nil {
				return nil, err
			}
			if q.Height != 0 && q.Height != clearingHeight {
				return nil, fmt.Errorf("no clearing in block %d", q.Height)
			}
			return &types.QueryClearingResponse{Clearing: record}, nil
		case "/nexara.tasks.v1.Query/ClearingModel":
			var q types.QueryClearingModelRequest
			if err := q.Unmarshal(request); err != nil {
				return nil, err
			}
			from := min(q.Offset, int64(len(file)))
			return &types.QueryClearingModelResponse{Data: file[from:min(from+200, int64(len(file)))], Size_: size}, nil
		}
		return nil, fmt.Errorf("no query %s", path)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answerRPC(w, r, answer) }))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}

// answerRPC is the one call of a node's RPC that queries make.
func answerRPC(w http.ResponseWriter, r *http.Request, answer func(path string, request []byte) (proto.Message, error)) {
	var call struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params struct {
			Path string `json:"path"`
			Data string `json:"data"`
		} `json:"params"`
	}
	response := map[string]any{"code": 1, "height": "7"}
	err := json.NewDecoder(r.Body).Decode(&call)
	var request, value []byte
	if err == nil {
		request, err = hex.DecodeString(call.Params.Data)
	}
	var reply proto.Message
	if err == nil {
		reply, err = answer(call.Params.Path, request)
	}
	if err == nil {
		value, err = proto.Marshal(reply)
	}
	if err != nil {
		response["log"], response["codespace"] = err.Error(), "test"
	} else {
		response["code"], response["value"] = 0, value
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": call.ID, "result": map[string]any{"response": response}})
}

// contestedClearing is a clearing in which seven shards want five slots, its record and its file, as the chain makes them.
func contestedClearing() (types.Clearing, []byte, error) {
	const anexPerUnex = 1_000_000_000_000
	b := auction.Book{Params: auction.DefaultParams(), Shapes: []auction.Shape{{Need: auction.Resources{1_000, 512}, Runtime: "wasm", RunSeconds: 10}}}
	for i, slots := range []int64{2, 2, 1} {
		room := auction.Resources{slots * 1_000, 4_096}
		b.Supplies = append(b.Supplies, auction.Supply{
			ID: uint64(i + 1), Operator: "op", Active: true, Capacity: room, Free: room, Ask: auction.Ask{uint64(10+i) * anexPerUnex / 1_000},
			Runtimes: []string{"wasm"}, MaxRunSeconds: 60, FreeBond: 1_000_000, LeaseSlots: 10, ScorePPM: auction.PPM,
		})
	}
	for i, count := range []int64{3, 2, 2} {
		b.Entries = append(b.Entries, auction.Entry{JobID: uint64(i + 1), Count: count, Limit: int64(400 - 50*i), VisibleBefore: 1})
	}
	m, err := auction.NewModel(b)
	if err != nil {
		return types.Clearing{}, nil, err
	}
	a, err := auction.Optimal{}.Solve(m, auction.Budget{Steps: auction.DefaultSteps})
	if err != nil {
		return types.Clearing{}, nil, err
	}
	file := (&auction.File{Height: clearingHeight, Solver: "optimal", Book: b, Allocation: a}).Encode()
	digest, covered := auction.FileDigest(file), m.Coverage()
	record := types.Clearing{
		Height: clearingHeight, Solver: "optimal", Work: a.Work, Welfare: a.Welfare, Bound: a.Bound, GapPpm: auction.GapPPM(a.Bound, a.Welfare),
		Shapes: covered.Shapes, Offers: covered.Supplies, Entries: covered.Entries, Shards: covered.Shards, Matched: a.Matched,
		Leases: int64(len(a.Matches)), Exact: a.Certificate.Exact, Digest: digest[:],
	}
	for _, p := range a.Certificate.Prices {
		record.Width = max(record.Width, p.Width)
		record.Prices = append(record.Prices, types.ClearingPrice{NexcoreId: p.NexCoreID, Slot: p.Slot, Tie: p.Tie, Width: p.Width})
	}
	return record, file, nil
}

// flipByte writes a file with one bit of its middle byte changed.
func flipByte(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: flip-byte FROM TO")
	}
	data := []byte(ts.ReadFile(args[0]))
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}
