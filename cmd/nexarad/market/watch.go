package market

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cosmos/gogoproto/proto"
	"github.com/spf13/cobra"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/codec"

	"github.com/nexara/nexara/x/denom"
	"github.com/nexara/nexara/x/tasks/lifecycle"
	"github.com/nexara/nexara/x/tasks/types"
)

func watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch JOB",
		Short: "Show a job's shards live until it ends",
		Long: `Shows a bar for each shard (for each lease when there are many) until the job ends, then who was paid what.
On a terminal the picture is redrawn; elsewhere a line is printed for each change. With --output json each
change is one JSON line. Exits with 1 when a shard ended unpaid.`,
		Example: `  nexarad job watch 1
  nexarad job watch 1 --output json | jq .state`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			id, err := parseJob(args[0])
			if err != nil {
				return err
			}
			return watchJob(cmd, clientCtx, id)
		},
	}
	flags.AddQueryFlagsToCmd(cmd)
	return cmd
}

func whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "why JOB",
		Short:   "Say why a job waits, and the cheapest change that would match now",
		Example: `  nexarad job why 1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			clientCtx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			id, err := parseJob(args[0])
			if err != nil {
				return err
			}
			res, err := types.NewQueryClient(clientCtx).WhyNot(cmd.Context(), &types.QueryWhyNotRequest{JobId: id})
			if err != nil {
				return err
			}
			if isJSON(clientCtx) {
				return clientCtx.PrintProto(res)
			}
			fmt.Fprintln(cmd.OutOrStdout(), res.Text)
			return nil
		},
	}
	flags.AddQueryFlagsToCmd(cmd)
	return cmd
}

func parseJob(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("JOB is a job's number, such as 1, not %q", s)
	}
	return id, nil
}

func printJSON(cmd *cobra.Command, v any) error {
	return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
}

// ErrUnpaid says that a job ended with shards that were not delivered.
var ErrUnpaid = fmt.Errorf("the job ended with undelivered shards")

// watchJob shows a job until it ends.
func watchJob(cmd *cobra.Command, clientCtx client.Context, id uint64) error {
	queries := types.NewQueryClient(clientCtx)
	screen := &screen{out: cmd.OutOrStdout(), live: isTerminal(cmd.OutOrStdout()), json: isJSON(clientCtx), started: map[uint64]time.Time{}}
	misses := 0
	for {
		v, err := readJob(cmd.Context(), queries, id)
		if err != nil {
			// A node that restarts is not the end of the job: only an answer that stays away is.
			if misses++; misses > 25 || cmd.Context().Err() != nil {
				return err
			}
		} else {
			misses = 0
			if err := screen.show(v); err != nil {
				return err
			}
			if v.Job.EndedHeight > 0 {
				if v.Job.Counts.Paid < v.Job.Shards {
					return fmt.Errorf("%w: %d of %d paid, state %s", ErrUnpaid, v.Job.Counts.Paid, v.Job.Shards, v.State)
				}
				return nil
			}
		}
		if err := pause(cmd.Context(), pollInterval); err != nil {
			return err
		}
	}
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// screen draws views: in place on a terminal, line by line elsewhere.
type screen struct {
	out     io.Writer
	live    bool
	json    bool
	lines   int    // drawn last time, on a terminal
	last    string // printed last time, elsewhere
	started map[uint64]time.Time
}

func (s *screen) show(v *view) error {
	if s.json {
		bz, err := v.json()
		if err != nil || string(bz) == s.last {
			return err
		}
		s.last = string(bz)
		_, err = fmt.Fprintln(s.out, s.last)
		return err
	}
	if !s.live {
		line := summary(v)
		if line == s.last {
			return nil
		}
		s.last = line
		_, err := fmt.Fprintln(s.out, line)
		return err
	}
	rows := append([]string{summary(v)}, s.rows(v)...)
	if s.lines > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA", s.lines)
	}
	for _, row := range rows {
		fmt.Fprintf(s.out, "\x1b[2K%s\n", row)
	}
	for extra := len(rows); extra < s.lines; extra++ {
		fmt.Fprint(s.out, "\x1b[2K\n")
	}
	s.lines = max(s.lines, len(rows))
	return nil
}

// json is a view in the JSON of the chain's queries: 64-bit numbers and states are text.
func (v *view) json() ([]byte, error) {
	job, err := codec.ProtoMarshalJSON(&v.Job, nil)
	if err != nil {
		return nil, err
	}
	shards, e1 := list(v.Ranges)
	leases, e2 := list(v.Leases)
	payouts, e3 := list(v.Payouts)
	if err := errors.Join(e1, e2, e3); err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Job     json.RawMessage   `json:"job"`
		State   string            `json:"state"`
		Shards  []json.RawMessage `json:"shards"`
		Leases  []json.RawMessage `json:"leases"`
		Payouts []json.RawMessage `json:"payouts"`
	}{job, v.State, shards, leases, payouts})
}

func list[T any, P interface {
	*T
	proto.Message
}](items []T) ([]json.RawMessage, error) {
	out := make([]json.RawMessage, len(items))
	for i := range items {
		bz, err := codec.ProtoMarshalJSON(P(&items[i]), nil)
		if err != nil {
			return nil, err
		}
		out[i] = bz
	}
	return out, nil
}

// summary is one line about a job.
func summary(v *view) string {
	c := v.Job.Counts
	parts := []string{fmt.Sprintf("job %d %-9s", v.Job.Id, v.State)}
	for _, p := range []struct {
		name string
		n    int64
	}{{"open", c.Open}, {"leased", c.Leased}, {"running", c.Running}, {"delivered", c.Delivered}, {"final", c.Final}, {"settled", c.Settled}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", p.name, p.n))
		}
	}
	return strings.Join(parts, "  ") + fmt.Sprintf("  paid %d/%d  escrow %s", c.Paid, v.Job.Shards, denom.String(v.Job.Escrow))
}

// maxRows is how many bars are drawn; an array with more shards is drawn by range.
const maxRows = 32

func (s *screen) rows(v *view) []string {
	var rows []string
	for _, r := range v.Ranges {
		if v.Job.Shards > maxRows {
			rows = append(rows, s.bar(v, r, fmt.Sprintf("%6d..%-6d", r.First, r.First+r.Count-1)))
			continue
		}
		for i := range r.Count {
			rows = append(rows, s.bar(v, r, fmt.Sprintf("shard %3d", r.First+i)))
		}
	}
	if len(rows) > maxRows {
		rows = append(rows[:maxRows-1], fmt.Sprintf("... and %d more", len(rows)-maxRows+1))
	}
	return rows
}

const barWidth = 24

// bar is one row: how far the shard is, by its state, and while it runs by its declared time.
func (s *screen) bar(v *view, r types.ShardRange, label string) string {
	state := lifecycle.ShardState(r.State)
	done := map[lifecycle.ShardState]int{
		lifecycle.ShardOpen: 0, lifecycle.ShardLeased: 2, lifecycle.ShardRunning: 4,
		lifecycle.ShardDelivered: 20, lifecycle.ShardFinal: 22, lifecycle.ShardSettled: barWidth,
	}[state]
	where := ""
	if lease := v.leaseOf(r.First); lease != nil {
		where = fmt.Sprintf("NexCore %d  %s", lease.NexcoreId, denom.String(lease.Price))
		if state == lifecycle.ShardRunning {
			if s.started[lease.Id].IsZero() {
				s.started[lease.Id] = time.Now()
			}
			share := time.Since(s.started[lease.Id]).Seconds() / float64(v.Job.Shape.RunSeconds)
			done += int(min(share, 1) * 15)
		}
	}
	return fmt.Sprintf("%s [%s%s] %-9s %-16s %s", label, strings.Repeat("#", done), strings.Repeat(".", barWidth-done), state, r.Reason, where)
}
