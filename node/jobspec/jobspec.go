// Package jobspec reads the job file a requester writes and turns it into the
// two things the rest of the system needs: a Spec of plain integers, from which
// the CLI fills a submit message, and a Document, the canonical bytes that
// NexCores fetch by CID and run.
//
// It is a word room: the CLI, the gateway and the daemon share it. It reads
// bytes and returns values. It never opens a file, never reaches a network,
// never packs an image; whoever calls it uploads local paths and hands back
// their CIDs.
//
// Place in the flow: job.yaml -> Parse -> Spec -> (upload image and inputs) ->
// Spec.Document -> Document.Encode -> spec CID on chain -> DecodeDocument in
// the daemon -> Document.ShardEnv for each run.
package jobspec

// Bounds on what a job file may say. They bound the work and the memory of
// whoever reads it; the chain has its own, narrower parameters.
const (
	// MaxFileBytes is the largest job file accepted.
	MaxFileBytes = 64 << 10
	// MaxDepth is the deepest nesting of lists and maps accepted.
	MaxDepth = 8
	// MaxNodes is the most values and keys a file may hold.
	MaxNodes = 8192

	// MaxNameBytes bounds the job's name.
	MaxNameBytes = 64
	// MaxPathBytes bounds a local path and a mount.
	MaxPathBytes = 1024
	// MaxArgs and MaxArgBytes bound the command.
	MaxArgs     = 256
	MaxArgBytes = 4096
	// MaxEnv bounds the variables of env and the axes of matrix, each.
	MaxEnv = 64
	// MaxEnvNameBytes and MaxEnvValueBytes bound one variable.
	MaxEnvNameBytes  = 128
	MaxEnvValueBytes = 4096
	// MaxAxisValues bounds the values of one matrix axis.
	MaxAxisValues = 1024
	// MaxInputs bounds the inputs.
	MaxInputs = 64
	// MaxRegions bounds place.regions.
	MaxRegions = 16
	// MaxTokenBytes bounds a region and a GPU model.
	MaxTokenBytes = 32

	// MaxShards bounds the shards of one job.
	MaxShards = 100_000
	// MaxCPUMilli is 1,024 cores.
	MaxCPUMilli = 1_024_000
	// MaxMemoryMiB is 16 TiB.
	MaxMemoryMiB = 16 << 20
	// MaxDiskMiB is 16 TiB.
	MaxDiskMiB = 16 << 20
	// MaxGPUs bounds the GPUs of one shard.
	MaxGPUs = 64
	// MaxRunSeconds is 7 days.
	MaxRunSeconds = 7 * 24 * 3600
	// MaxDeadlineSeconds is 30 days.
	MaxDeadlineSeconds = 30 * 24 * 3600
	// MaxLimitUnex is a million NEX. Times MaxShards it stays below 2^57, so a
	// job's whole limit always fits an int64.
	MaxLimitUnex = 1_000_000 * UnexPerNEX
	// MaxAttempts bounds how often one shard is tried.
	MaxAttempts = 10
	// MaxScorePPM is a perfect score.
	MaxScorePPM = 1_000_000

	// UnexPerNEX is how many micro-NEX one NEX has.
	UnexPerNEX = 1_000_000
)

// What a job gets when its file does not say.
const (
	DefaultShards          = 1
	DefaultCPUMilli        = 1000
	DefaultMemoryMiB       = 256
	DefaultDiskMiB         = 64
	DefaultAttempts        = 3
	DefaultDeadlineSeconds = 3600
)

// Runtime names what kind of image a job brings.
type Runtime string

// The runtimes a job can ask for.
const (
	// RuntimeContainer runs an OCI image.
	RuntimeContainer Runtime = "container"
	// RuntimeWASM runs a WebAssembly module with WASI preview 1.
	RuntimeWASM Runtime = "wasm"
)

// Guest paths every driver provides.
const (
	// InputRoot is the folder under which inputs are mounted, read-only.
	InputRoot = "/in"
	// OutputRoot is the folder whose content becomes the result.
	OutputRoot = "/out"
)

// Variables each shard sees besides its own. The prefix NEXARA_ is reserved.
const (
	// EnvShard holds the shard's index, counted from 0.
	EnvShard = "NEXARA_SHARD"
	// EnvShards holds how many shards the job has.
	EnvShards = "NEXARA_SHARDS"

	reservedEnvPrefix = "NEXARA_"
)

// Source says where bytes come from: a local path, or IPFS. Exactly one is set.
type Source struct {
	// Path is a local file or folder, relative to the job file.
	Path string
	// CID is a canonical CIDv1 in text.
	CID string
}

// Input is one thing a shard finds under InputRoot.
type Input struct {
	Source Source
	// Mount is the absolute, clean guest path.
	Mount string
}

// Var is one environment variable.
type Var struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Axis is one dimension of a matrix: a variable and the values it takes.
type Axis struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Resources is what one shard needs.
type Resources struct {
	// CPUMilli is in thousandths of a core.
	CPUMilli int64 `json:"cpu_milli"`
	// MemoryMiB is in MiB.
	MemoryMiB int64 `json:"memory_mib"`
	// DiskMiB is writable space in MiB, outputs included; 0 for none.
	DiskMiB int64 `json:"disk_mib"`
	// GPUs is a count.
	GPUs int64 `json:"gpus"`
	// GPUModel is the lower-case model required, empty for any.
	GPUModel string `json:"gpu_model"`
}

// Spec is a job file, validated and reduced to plain values.
type Spec struct {
	Name    string
	Runtime Runtime
	Image   Source
	// Args is the program and its arguments; empty means the image's own. For
	// wasm the program name is the module's, so Args are arguments only.
	Args []string
	// Env is sorted by name.
	Env []Var
	// Shards is how many shards the job has, the product of Matrix if that is set.
	Shards int64
	// Matrix keeps the file's order: the last axis changes fastest.
	Matrix    []Axis
	Inputs    []Input
	Resources Resources
	// RunSeconds is the declared run time of one shard, enforced and paid in full.
	RunSeconds int64
	// Network asks for outgoing network.
	Network bool
	// Regions are the region cells accepted, sorted; empty for any.
	Regions []string
	// Arch is a Go architecture name, empty for any.
	Arch string
	// MinScorePPM is the least completion score accepted, in millionths.
	MinScorePPM int64
	// LimitUnex is the all-in limit per shard in micro-NEX.
	LimitUnex int64
	// Attempts is how often one shard is tried at most.
	Attempts int64
	// DeadlineSeconds is how long a shard waits in the book before it is given up.
	DeadlineSeconds int64
}
