package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nexara/nexara/node/lease"
	"github.com/nexara/nexara/node/provider"
)

func (m *Main) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the running daemon: chain, offer, leases with their shards",
		Example: `  nexcore status
  nexcore status --output json | jq '.leases[].stage'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := provider.NewClient(m.where())
			if err != nil {
				return err
			}
			defer c.Close()
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if m.output == "json" {
				return m.json(s)
			}
			return m.showStatus(s)
		},
	}
}

func (m *Main) drainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drain",
		Short: "Take no new leases; those there are go on",
		Long: `Tells the chain that this NexCore takes no new leases and withdraws its offer. Leases it holds are finished.
"nexcore status" shows when none is left. The operator allows new leases again with:

  nexarad tx nexcore drain NEXCORE --drain=false --from operator`,
		Example: `  nexcore drain && nexcore status`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := provider.NewClient(m.where())
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Drain(cmd.Context()); err != nil {
				return err
			}
			if m.output == "json" {
				return m.json(map[string]bool{"draining": true})
			}
			m.printf("draining: no new leases\n")
			return nil
		},
	}
}

func (m *Main) showStatus(s provider.Status) error {
	registered := "waiting to be registered"
	if s.NexCore > 0 {
		registered = fmt.Sprintf("NexCore %d", s.NexCore)
	}
	offer := "none"
	if o := s.Offer; o != nil {
		offer = o.Standing
		if o.ExpiresHeight > 0 {
			offer += fmt.Sprintf(" until block %d", o.ExpiresHeight)
		}
		if o.Draining {
			offer += ", draining"
		}
		if o.Problem != "" {
			offer += ": " + o.Problem
		}
	}
	heard := "never"
	if !s.Chain.Heard.IsZero() && s.Chain.Height > 0 {
		heard = time.Since(s.Chain.Heard).Round(100*time.Millisecond).String() + " ago"
	}
	m.printf("%s, %s on %s, up %s\nchain   block %d, heard %s\noffer   %s\npeers   %d\nmemory  %d MiB, blobs %d MiB\n",
		registered, s.Address, s.ChainID, time.Since(s.Started).Round(time.Second), s.Chain.Height, heard, offer, len(s.Peers),
		s.Resources.RSSBytes>>20, s.Resources.BlobBytes>>20)
	if s.ClockProblem != "" {
		m.printf("clock   %s\n", s.ClockProblem)
	}
	if len(s.Leases) == 0 {
		m.printf("leases  none\n")
		return nil
	}
	w := tabwriter.NewWriter(m.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nLEASE\tJOB\tNAME\tSTAGE\tSHARDS\tPROGRESS")
	for _, l := range s.Leases {
		done, percent := summarise(l)
		fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%d/%d\t%s\n", l.Lease, l.Job, l.Name, l.Stage, done, len(l.Shards), bar(percent))
	}
	return w.Flush()
}

func summarise(l lease.LeaseStatus) (done, percent int) {
	for _, s := range l.Shards {
		if s.State == "packed" || s.State == "lost" {
			done++
		}
		percent += s.Progress
	}
	return done, percent / max(len(l.Shards), 1)
}

// bar draws the share of the declared time that has passed.
func bar(percent int) string {
	const width = 20
	n := min(max(percent, 0), 100) * width / 100
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + fmt.Sprintf("] %3d%%", percent)
}
