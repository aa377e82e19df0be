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
	supplies, _, err := k.loadSupplies(ctx, p, &market{})
	if err != nil {
		return nil, err
	}
	book, err := k.newBook(ctx, p, open, supplies)
	if err != nil {
		return nil, err
	}
	if len(book.Entries) == 0 {
		return nil, types.ErrNotFound.Wrapf("shape of job %d", id)
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
	// The auction saw what the book charges left, and the next clearing will charge one block more.
	charges := open[0].Limit - book.Entries[0].Limit
	out.Cheapest = relaxation(reasons.Cheapest(), open[0].Limit, charges+p.BookCharge)
	out.Outbid = relaxation(reasons.Outbid, open[0].Limit, charges+p.BookCharge)
	return out, nil
}

// relaxation says a change in the requester's terms: limits are before book charges.
func relaxation(c *auction.Relaxation, limit, charges int64) *types.Relaxation {
	if c == nil {
		return nil
	}
	out := &types.Relaxation{Rule: c.Rule.String(), Field: c.Field, From: c.From, To: c.To, Price: c.AllIn}
	if c.Field == "limit" {
		out.From = strconv.FormatInt(limit, 10)
		if to, err := strconv.ParseInt(c.To, 10, 64); err == nil {
			out.To = strconv.FormatInt(to+charges, 10)
		}
	}
	return out
}
