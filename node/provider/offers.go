package provider

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nexara/nexara/node/chain"
	"github.com/nexara/nexara/node/driver"
	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/offer"
	nexcorev1 "github.com/nexara/nexara/proto/gen/nexara/nexcore/v1"
	tasksv1 "github.com/nexara/nexara/proto/gen/nexara/tasks/v1"
)

const (
	// lookEvery is after how many blocks registration and offer are read again.
	lookEvery = 20
	// planEvery is how often the terms are worked out again: free disk changes.
	planEvery = time.Minute
	// settle is for how many blocks a message may take effect.
	settle = 4
)

// offers keeps the standing offer. Only its own goroutine touches its fields,
// except the atomic ones.
type offers struct {
	p    *Provider
	wake chan struct{}

	drain atomic.Bool // wanted by the operator of this machine
	view  atomic.Pointer[OfferStatus]

	record  *nexcorev1.NexCore
	offer   *tasksv1.Offer
	ttl     int64
	looked  int64
	pending int64
	terms   *offer.Terms
	why     string
	planned time.Time
}

// OfferStatus is the offer for people and programs that watch.
type OfferStatus struct {
	Standing      string             `json:"standing"`
	Draining      bool               `json:"draining"`
	Capacity      *tasksv1.Resources `json:"capacity,omitempty"`
	Ask           *tasksv1.Ask       `json:"ask_anex,omitempty"`
	Runtimes      []string           `json:"runtimes,omitempty"`
	ExpiresHeight int64              `json:"expires_height"`
	Registration  string             `json:"registration"`
	Problem       string             `json:"problem,omitempty"`
}

func newOffers(p *Provider) *offers { return &offers{p: p, wake: make(chan struct{}, 1)} }

func (o *offers) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *offers) run(ctx context.Context, r *lease.Reconciler) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		}
		if err := o.tick(ctx, r.Head()); err != nil && ctx.Err() == nil {
			o.why = err.Error()
			o.p.log.Warn("offer not kept", "err", err)
		}
		o.publish(r.Head())
	}
}

// tick looks at most once per block, and mostly only at values it has.
func (o *offers) tick(ctx context.Context, head lease.Head) error {
	height := head.Height
	if height == 0 {
		return nil
	}
	due := o.record == nil || height >= o.looked+lookEvery || height > o.pending && o.looked <= o.pending ||
		(o.offer != nil && head.OfferExpires == 0 && height > o.pending)
	if due {
		if err := o.look(ctx, height); err != nil {
			return err
		}
	}
	if o.offer != nil && head.OfferExpires > 0 {
		o.offer.ExpiresHeight = head.OfferExpires // any message of this NexCore refreshes it
	}
	if time.Since(o.planned) > planEvery || due && o.terms == nil {
		o.plan(ctx)
	}
	active := o.record.GetStatus() == nexcorev1.Status_STATUS_ACTIVE
	if o.drain.Load() && active && height > o.pending {
		o.p.log.Info("draining: no new leases")
		return o.send(ctx, height, "drain", &nexcorev1.MsgDrain{
			Signer: o.p.deps.Key.Address(), NexcoreId: o.record.GetId(), Drain: true,
		})
	}
	if o.drain.Load() && o.record.GetStatus() == nexcorev1.Status_STATUS_DRAINING {
		o.drain.Store(false) // the chain remembers it from here on
	}
	action, terms := o.decide(height)
	if action == offer.Nothing {
		return nil
	}
	return o.send(ctx, height, action.String(), action.Message(o.p.deps.Key.Address(), terms))
}

// decide says what to do now, by values that were read before. A machine whose
// clock is wrong offers nothing: it would miss every deadline, or see none.
func (o *offers) decide(height int64) (offer.Action, *offer.Terms) {
	terms := o.terms
	if _, problem := o.p.clock.state(); problem != "" {
		terms = nil
	}
	draining := o.record.GetStatus() == nexcorev1.Status_STATUS_DRAINING
	return offer.Decide(terms, offer.View{
		Height: height, Offer: o.offer, TTL: o.ttl, Active: o.record.GetStatus() == nexcorev1.Status_STATUS_ACTIVE,
		Drain: o.drain.Load() || draining, PendingUntil: o.pending,
	}), terms
}

// look reads registration, offer and parameters.
func (o *offers) look(ctx context.Context, height int64) error {
	record, err := o.p.client.NexCoreByNode(ctx, o.p.deps.Key.Address())
	if err != nil {
		return err
	}
	standing, _, err := o.p.client.Offer(ctx, record.GetId())
	if errors.Is(err, chain.ErrNotFound) {
		standing, err = nil, nil
	}
	if err != nil {
		return err
	}
	if o.ttl == 0 {
		params, err := o.p.client.TaskParams(ctx)
		if err != nil {
			return err
		}
		o.ttl = params.GetOfferTtlBlocks()
	}
	if standing.GetExpiresHeight() == 0 {
		standing = nil
	}
	o.record, o.offer, o.looked = record, standing, height
	return nil
}

// plan works the terms out again. When nothing can be offered the reason is shown and logged.
func (o *offers) plan(ctx context.Context) {
	o.planned = time.Now()
	machine, err := o.p.deps.Machine(ctx)
	machine.LogMiB = o.p.cfg.Leases.logMiB()
	var terms offer.Terms
	if err == nil {
		var caps []driver.Capabilities
		for _, d := range o.p.deps.Drivers {
			c, derr := d.Capabilities(ctx)
			if derr != nil {
				o.p.log.Warn("driver not offered", "driver", d.Name(), "err", derr)
				continue
			}
			caps = append(caps, c)
		}
		terms, err = offer.Plan(o.p.cfg.Offer, machine, caps, o.record.GetSpec())
	}
	if err != nil {
		o.terms, o.why = nil, err.Error()
		o.p.log.Warn("nothing to offer", "err", err)
		return
	}
	o.terms, o.why = &terms, ""
	if r := o.p.leases.Load(); r != nil {
		r.LimitRuns(terms.Runs)
	}
}

func (o *offers) send(ctx context.Context, height int64, what string, msg proto.Message) error {
	sent, err := o.p.sender.Submit(ctx, msg)
	if err != nil {
		o.pending = height + 1 // a little patience, then again
		return err
	}
	o.pending = height + settle
	o.p.log.Info("offer", "action", what, "tx", sent.Hash, "height", height)
	return nil
}

func (o *offers) publish(head lease.Head) {
	s := &OfferStatus{Standing: "none", Draining: o.drain.Load(), ExpiresHeight: head.OfferExpires, Problem: o.why}
	if _, problem := o.p.clock.state(); problem != "" {
		s.Problem = problem
	}
	if o.record != nil {
		s.Registration = o.record.GetStatus().String()
		s.Draining = s.Draining || o.record.GetStatus() == nexcorev1.Status_STATUS_DRAINING
	}
	if o.terms != nil {
		s.Capacity, s.Ask, s.Runtimes = o.terms.Capacity, o.terms.Ask, o.terms.Runtimes
	}
	if head.OfferExpires > head.Height {
		s.Standing = "standing"
	}
	o.view.Store(s)
}
