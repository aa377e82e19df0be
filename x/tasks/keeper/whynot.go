package keeper

import (
	"context"
	"strconv"

	"github.com/nexara/nexara/x/tasks/auction"
	"github.com/nexara/nexara/x/tasks/types"
)

// WhyNot says which rules keep a job's waiting shards from the standing offers, and the cheapest single
// change that would match now. It answers for the first waiting range, on the book as it is.
func (k *Keeper) WhyNot(ctx context.Context, id uint64) (*types.QueryWhyNotResponse, error) {
	p, err := k.params.Get(ctx)
	if err != nil {
		return nil, err
	}
	job, err := k.jobs.Get(ctx, id)
	if err != nil {
		return nil, found(err, "job", id)
	}
	out := &types.QueryWhyNotResponse{JobId: id, Open: job.Counts.Open}
	open, err := k.openRanges(ctx, id, 1)
	if err != nil {
		return nil, err
	}
	if len(open) == 0 {
		out.Text = "No shard of this job waits: it is " + JobState(job) + "."
		return out, nil
	}
	book, err := k.loadMarket(ctx, p, [32]byte{}, open)
	if err != nil {
		return nil, err
	}
	if book.Hints, err = k.hints(ctx); err != nil {
		return nil, err
	}
	model, err := auction.NewModel(book)
	if err != nil {
		return nil, err
	}
	reasons, err := auction.Explain(model, id, open[0].First)
	if err != nil {
		return nil, types.ErrNotFound.Wrap(err.Error())
	}
	out.Offers, out.Eligible, out.Text = reasons.Supplies, reasons.Eligible, reasons.Text()
	for _, r := range reasons.Rules {
		if r.Total > 0 {
			out.Rules = append(out.Rules, types.RuleCount{Rule: r.Rule.String(), First: r.First, Total: r.Total})
		}
	}
	if c := reasons.Cheapest(); c != nil {
		out.Cheapest = &types.Relaxation{Rule: c.Rule.String(), Field: c.Field, From: c.From, To: c.To, Price: c.AllIn}
		if c.Field == "limit" {
			// The auction saw what the book charges left, and the next clearing will charge one block more.
			spent := open[0].Limit - book.Entries[0].Limit
			out.Cheapest.From = strconv.FormatInt(open[0].Limit, 10)
			if to, err := strconv.ParseInt(c.To, 10, 64); err == nil {
				out.Cheapest.To = strconv.FormatInt(to+spent+p.BookCharge, 10)
			}
		}
	}
	return out, nil
}
