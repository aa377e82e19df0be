package inventory

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

const (
	gpuTimeout = 5 * time.Second
	// maxGPUs bounds what a tool or a file may claim.
	maxGPUs = 64
	// maxCDIFiles and maxCDIBytes bound the CDI folders.
	maxCDIFiles = 64
	maxCDIBytes = 256 << 10

	unknownModel = "unknown"
)

var errGPU = errors.New("GPU description not understood")

// findGPUs asks nvidia-smi, and where it is absent or fails looks into the CDI
// specifications. A machine with neither has no GPUs, which is no error.
func findGPUs(ctx context.Context, cfg Config) ([]GPU, error) {
	gpus, err := askNvidia(ctx, cfg.nvidiaSMI)
	if err == nil {
		return gpus, nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		err = nil
	}
	fromCDI, cdiErr := readCDI(cfg.root)
	return fromCDI, errors.Join(err, cdiErr)
}

func askNvidia(ctx context.Context, program string) ([]GPU, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		// A path that does not exist says the same as a name that is not found.
		if errors.Is(err, fs.ErrNotExist) {
			err = exec.ErrNotFound
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gpuTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits")
	// A tool that hangs in the driver keeps its pipes: do not wait for them.
	cmd.WaitDelay = time.Second
	// A tool that talks for ever is stopped at once, not at the timeout.
	out := &capped{most: 64 << 10, full: cancel}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		switch cause := ctx.Err(); {
		case out.overflow:
			err = fmt.Errorf("%w: more than %d bytes", errGPU, out.most)
		case cause != nil:
			err = cause
		}
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	return parseNvidia(out.buf.Bytes())
}

// capped keeps the first bytes, calls full and fails beyond them. The buffer is
// not embedded: its ReadFrom would be used instead of Write and know no bound.
type capped struct {
	buf  bytes.Buffer
	most int
	full func()

	overflow bool
}

func (c *capped) Write(b []byte) (int, error) {
	if c.buf.Len()+len(b) > c.most {
		c.overflow = true
		c.full()
		return 0, io.ErrShortBuffer
	}
	return c.buf.Write(b)
}

// parseNvidia reads lines of name and memory in MiB.
func parseNvidia(b []byte) ([]GPU, error) {
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord, r.TrimLeadingSpace = 2, true
	rows, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errGPU, err)
	}
	if len(rows) > maxGPUs {
		return nil, fmt.Errorf("%w: more than %d GPUs", errGPU, maxGPUs)
	}
	var out []GPU
	for _, row := range rows {
		// Boards with shared memory print [N/A].
		memory, err := strconv.ParseInt(strings.TrimSpace(row[1]), 10, 64)
		if err != nil || memory < 0 {
			memory = 0
		}
		out = append(out, GPU{Model: gpuModel(row[0]), Count: 1, MemoryMiB: memory})
	}
	return merge(out), nil
}

// merge counts equal GPUs, sorted by model and memory.
func merge(gpus []GPU) []GPU {
	sort.Slice(gpus, func(i, j int) bool {
		a, b := gpus[i], gpus[j]
		if a.Model != b.Model {
			return a.Model < b.Model
		}
		return a.MemoryMiB < b.MemoryMiB
	})
	out := []GPU{}
	for _, g := range gpus {
		if n := len(out); n > 0 && out[n-1].Model == g.Model && out[n-1].MemoryMiB == g.MemoryMiB {
			out[n-1].Count += g.Count
			continue
		}
		out = append(out, g)
	}
	return out
}

// noise are the words of a product name that do not tell models apart: makers,
// brands, form factors and kinds of memory.
func noise(word string) bool {
	switch word {
	case "nvidia", "tesla", "geforce", "quadro", "generation", "gpu", "graphics", "pcie", "sxm", "sxm2", "sxm3", "sxm4", "sxm5",
		"hbm2", "hbm2e", "hbm3", "hbm3e", "nvl", "laptop", "corporation":
		return true
	}
	// "80gb" and the like.
	digits := strings.TrimSuffix(word, "gb")
	_, err := strconv.Atoi(digits)
	return digits != word && err == nil
}

// gpuModel reduces a product name to the word the market uses: "NVIDIA
// A100-SXM4-40GB" is a100, "NVIDIA GeForce RTX 4090" is rtx4090.
func gpuModel(name string) string {
	const longest = 32
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	var out strings.Builder
	for _, w := range words {
		if !noise(w) && out.Len()+len(w) <= longest {
			out.WriteString(w)
		}
	}
	if out.Len() == 0 {
		return unknownModel
	}
	return out.String()
}

// cdiSpec is the part of a CDI specification that counts devices.
type cdiSpec struct {
	Version string `yaml:"cdiVersion"`
	Kind    string `yaml:"kind"`
	Devices []struct {
		Name string `yaml:"name"`
	} `yaml:"devices"`
}

// readCDI counts the GPUs of /etc/cdi and /var/run/cdi. A later folder overrides
// an earlier one for the same kind, as CDI rules.
func readCDI(root string) ([]GPU, error) {
	counts := map[string]int64{}
	var errs []error
	for _, dir := range []string{"etc/cdi", "var/run/cdi"} {
		entries, err := os.ReadDir(filepath.Join(root, dir))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		here := map[string]int64{}
		files := 0
		for _, e := range entries {
			ext := filepath.Ext(e.Name())
			if ext != ".yaml" && ext != ".json" {
				continue
			}
			if files++; files > maxCDIFiles {
				errs = append(errs, fmt.Errorf("%w: more than %d files in %s", errGPU, maxCDIFiles, dir))
				break
			}
			b, err := readSystemFile(filepath.Join(root, dir, e.Name()))
			if err != nil {
				errs = append(errs, err)
				continue
			}
			kind, n, err := parseCDI(b)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", e.Name(), err))
				continue
			}
			here[kind] += n
		}
		for kind, n := range here {
			counts[kind] = n
		}
	}
	var out []GPU
	for kind, n := range counts {
		if n > 0 && strings.HasSuffix(kind, "/gpu") {
			// CDI names a maker, not a model.
			out = append(out, GPU{Model: unknownModel, Count: min(n, maxGPUs)})
		}
	}
	return merge(out), errors.Join(errs...)
}

// parseCDI gives a specification's kind and how many devices it describes. One
// device is usually listed by index and again by its serial name, and all of them
// as "all"; where there are indices, they count.
func parseCDI(b []byte) (kind string, n int64, err error) {
	if len(b) > maxCDIBytes {
		return "", 0, fmt.Errorf("%w: %d bytes, at most %d", errGPU, len(b), maxCDIBytes)
	}
	var s cdiSpec
	defer func() {
		if p := recover(); p != nil {
			kind, n, err = "", 0, fmt.Errorf("%w: not a CDI specification", errGPU)
		}
	}()
	if err := yaml.Unmarshal(b, &s); err != nil {
		return "", 0, fmt.Errorf("%w: %w", errGPU, err)
	}
	if s.Version == "" || s.Kind == "" {
		return "", 0, fmt.Errorf("%w: not a CDI specification", errGPU)
	}
	var indices, others int64
	for _, d := range s.Devices {
		switch _, err := strconv.ParseUint(d.Name, 10, 16); {
		case err == nil:
			indices++
		case d.Name != "all" && d.Name != "":
			others++
		}
	}
	if indices > 0 {
		return s.Kind, indices, nil
	}
	return s.Kind, others, nil
}
