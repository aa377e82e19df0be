// Command nexcore runs leases on this machine. It wires node/provider to a key, a
// journal, a blob store and the drivers listed in drivers.go; the rooms decide,
// this command only joins them and talks to people.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nexara/nexara/node/driver/wasm"
	"github.com/nexara/nexara/node/provider"
)

// compileCommand makes the program a compiler of WASM modules: a process of its own, with limits.
const compileCommand = "compile-module"

func main() {
	if len(os.Args) > 1 && os.Args[1] == compileCommand {
		os.Exit(wasm.Compile(os.Args[2:], os.Stdin, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	m := Main{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}
	if err := m.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "nexcore:", err)
		os.Exit(1)
	}
}

// Main is one run of the program; tests make their own.
type Main struct {
	Args           []string
	Stdout, Stderr io.Writer

	home   string
	output string
}

// errOutput: --output is neither text nor json.
var errOutput = errors.New("--output is text or json")

// Run parses the arguments and runs until the command ends or ctx does.
func (m *Main) Run(ctx context.Context) error {
	home := ".nexcore"
	if dir, err := os.UserHomeDir(); err == nil {
		home = filepath.Join(dir, ".nexcore")
	}
	root := &cobra.Command{
		Use:   "nexcore",
		Short: "Sell this machine's idle time on Nexara",
		Long: `nexcore runs the work that the market leases to this machine, in containers and WASM sandboxes, and
delivers the results. A machine is set up in four steps:

  nexcore init --operator nexa1... --region eu-west     makes keys, configuration and register.json
  nexarad tx nexcore register ~/.nexcore/register.json --from operator
  nexcore doctor                                         checks everything, with hints
  nexcore start                                          offers and runs until interrupted`,
		SilenceUsage: true, SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if m.output != "text" && m.output != "json" {
				return errOutput
			}
			abs, err := filepath.Abs(m.home)
			m.home = abs
			return err
		},
	}
	root.PersistentFlags().StringVar(&m.home, "home", home, "folder for keys, configuration, journal and blobs")
	root.PersistentFlags().StringVarP(&m.output, "output", "o", "text", "text or json")
	root.AddCommand(m.initCommand(), m.startCommand(), m.statusCommand(), m.drainCommand(), m.doctorCommand(), m.versionCommand())
	root.SetArgs(m.Args)
	root.SetOut(m.Stdout)
	root.SetErr(m.Stderr)
	return root.ExecuteContext(ctx)
}

func (m *Main) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Example: "  nexcore version --output json", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if m.output == "json" {
				return m.json(map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintf(m.Stdout, "nexcore %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version is the module's, or the commit's when it was built from a checkout.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}

func (m *Main) where() provider.Home { return provider.Home(m.home) }

func (m *Main) json(v any) error {
	enc := json.NewEncoder(m.Stdout)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (m *Main) printf(format string, args ...any) { fmt.Fprintf(m.Stdout, format, args...) }

// logger writes the daemon's log as configured.
func logger(w io.Writer, cfg provider.LogConfig) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
