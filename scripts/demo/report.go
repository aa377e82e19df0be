package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"

	"github.com/nexara/nexara/testutil/scenario"
	"github.com/nexara/nexara/x/denom"
)

// errMoney says that the money law does not hold: the demo fails.
var errMoney = errors.New("the money law does not hold")

// fetchedShard is a line of `nexarad job fetch --output json`.
type fetchedShard struct {
	Shard     int64  `json:"shard"`
	Lease     uint64 `json:"lease"`
	NexCore   uint64 `json:"nexcore"`
	ResultCID string `json:"result_cid"`
	ExitCode  int    `json:"exit_code"`
	WallMS    int64  `json:"wall_ms"`
	Dir       string `json:"dir"`
}

// report fetches what the job made, shows a log, the best result and who was paid what.
func (d *demo) report(ctx context.Context, w *scenario.World, id uint64) error {
	d.say("$ nexarad job logs %d --shard 0", id)
	log, err := w.CLI(ctx, "job", "logs", fmt.Sprint(id), "--shard", "0")
	if err != nil {
		return err
	}
	fmt.Print(indent(tail(string(log), 5)))
	results := filepath.Join(d.dir, "results")
	d.say("$ nexarad job fetch %d --dir %s", id, rel(results))
	out, err := w.CLI(ctx, "job", "fetch", fmt.Sprint(id), "--dir", results, "--output", "json")
	if err != nil {
		return err
	}
	var fetched struct{ Shards []fetchedShard }
	if err := json.Unmarshal(out, &fetched); err != nil {
		return err
	}
	if err := d.best(fetched.Shards); err != nil {
		return err
	}
	if err := d.table(ctx, w, id, fetched.Shards); err != nil {
		return err
	}
	money, err := w.Money(ctx)
	if err != nil {
		return err
	}
	if !money.Holds {
		return errMoney
	}
	d.say("the money law holds: escrow, pool and bonds hold exactly what the records say")
	d.say("$ nexarad verify clearing 0")
	proof, err := w.CLI(ctx, "verify", "clearing", "0")
	if err != nil {
		return err
	}
	fmt.Print(indent(string(proof)))
	return nil
}

// table prints a row for each shard.
func (d *demo) table(ctx context.Context, w *scenario.World, id uint64, shards []fetchedShard) error {
	leases, err := w.Leases(ctx, id)
	if err != nil {
		return err
	}
	payouts, err := w.Payouts(ctx, id)
	if err != nil {
		return err
	}
	price, paid := map[string]int64{}, map[string]int64{}
	for _, l := range leases {
		price[l.ID], _ = strconv.ParseInt(l.Price, 10, 64)
	}
	sum, burned := int64(0), int64(0)
	for _, p := range payouts {
		n, _ := strconv.ParseInt(p.Paid, 10, 64)
		count, _ := strconv.ParseInt(p.Shards, 10, 64)
		b, _ := strconv.ParseInt(p.Burned, 10, 64)
		sum, burned = sum+n, burned+b
		if count > 0 {
			paid[p.LeaseID] = n / count
		}
	}
	fmt.Println()
	t := tabwriter.NewWriter(os.Stdout, 2, 4, 2, ' ', 0)
	fmt.Fprintln(t, "shard\tNexCore\tregion\tprice\tseconds\tresult CID\tpayout")
	for _, s := range shards {
		lease := fmt.Sprint(s.Lease)
		m := machine(w, s.NexCore)
		fmt.Fprintf(t, "%d\t%d %s\t%s\t%s\t%.2f\t%s\t%s\n", s.Shard, s.NexCore, m.Name, m.Region, denom.String(price[lease]),
			float64(s.WallMS)/1_000, s.ResultCID, denom.String(paid[lease]))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Printf("paid to operators %s, burned %s\n\n", denom.String(sum), denom.String(burned))
	return nil
}

func machine(w *scenario.World, id uint64) scenario.NexCore {
	for _, m := range w.Machines {
		if m.ID == id {
			return m.NexCore
		}
	}
	return scenario.NexCore{Name: "?"}
}
