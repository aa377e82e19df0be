package malicious

import (
	"bytes"
	"path"

	"github.com/nexara/nexara/node/blob"
	"github.com/nexara/nexara/node/result"
	"github.com/nexara/nexara/x/tasks/verdict"
)

// Swaps are the attempts that a gateway must refuse as results that do not fit. Each is tried on a lease of
// two shards of which the first was run.
func Swaps() []Swap {
	return []Swap{
		{"all bits set", Steps{Custody: allBits}},
		{"all bits set, and a root over manifests that are nowhere", Steps{Index: claimAll}},
		{"one shard's folder under every name", Steps{Index: claimAll, Shards: repeat}},
		{"another bit", Steps{Custody: func(c *verdict.Custody) { c.Outcomes = verdict.Outcomes{2} }}},
		{"a bitmap of another length", Steps{Custody: func(c *verdict.Custody) { c.Outcomes = verdict.Outcomes{1, 1} }}},
		{"another root", Steps{Custody: func(c *verdict.Custody) { c.Root[0] ^= 1 }}},
		{"fewer bytes than there are", Steps{Custody: func(c *verdict.Custody) { c.Bytes-- }}},
		{"more bytes than there are", Steps{Custody: func(c *verdict.Custody) { c.Bytes++ }}},

		{"no shards", Steps{Shards: none}},
		{"no folder of shards", Steps{Top: without(result.ShardsName)}},
		{"no index", Steps{Top: without(result.IndexName)}},
		{"something beside the index", Steps{Top: beside}},
		{"a shard too many", Steps{Shards: beside}},
		{"no manifest", Steps{Shard: without(result.ManifestName)}},
		{"no outputs", Steps{Shard: without(result.OutputsName)}},
		{"no log", Steps{Shard: without(result.LogName)}},
		{"something beside the log", Steps{Shard: beside}},
		{"another log than the manifest's", Steps{Shard: swap(result.LogName, result.ManifestName)}},
		{"other outputs than the manifest's", Steps{Shard: swap(result.OutputsName, result.LogName)}},
		{"another manifest than the index's", Steps{Shard: swap(result.ManifestName, result.LogName)}},
		{"outputs that are a file", Steps{
			Manifest: func(_ int, m *result.Manifest) { m.Outputs = m.Log }, Shard: swap(result.OutputsName, result.LogName),
		}},
		{"a log that is a folder", Steps{
			Manifest: func(_ int, m *result.Manifest) { m.Log = m.Outputs }, Shard: swap(result.LogName, result.OutputsName),
		}},
		{"a manifest that is not canonical", Steps{Bytes: func(raw []byte) []byte { return append(raw, '\n') }}},
		{"a manifest that is too large", Steps{Bytes: func(raw []byte) []byte {
			return append(raw, bytes.Repeat([]byte{' '}, result.MaxManifestBytes)...)
		}}},

		{"another lease's index", of(func(x *result.Index) { x.Lease++ })},
		{"another job's index", of(func(x *result.Index) { x.Job++ })},
		{"another NexCore's index", of(func(x *result.Index) { x.NexCore++ })},
		{"another attempt's index", of(func(x *result.Index) { x.Attempt++ })},
		{"another chain's index", of(func(x *result.Index) { x.ChainID += "2" })},
		{"the index of other shards", of(func(x *result.Index) { x.First++ })},
		{"the index of a longer lease", Steps{Index: func(x *result.Index) { x.Manifests = append(x.Manifests, "") }}},
		{"another lease's manifest", Steps{Manifest: func(_ int, m *result.Manifest) { m.Lease++ }}},
		{"another attempt's manifest", Steps{Manifest: func(_ int, m *result.Manifest) { m.Attempt++ }}},
		{"another shard's manifest", Steps{Manifest: func(_ int, m *result.Manifest) { m.Shard++ }}},
	}
}

// of bends who the result says it is of, in the index and in its manifests alike.
func of(bend func(*result.Index)) Steps {
	return Steps{Index: bend, Manifest: func(_ int, m *result.Manifest) {
		x := result.Index{ChainID: m.ChainID, Job: m.Job, Lease: m.Lease, NexCore: m.NexCore, Attempt: m.Attempt, First: m.Shard}
		bend(&x)
		m.ChainID, m.Job, m.Lease, m.NexCore, m.Attempt, m.Shard = x.ChainID, x.Job, x.Lease, x.NexCore, x.Attempt, x.First
	}}
}

func allBits(c *verdict.Custody) { c.Outcomes = verdict.Outcomes{3} }

// claimAll names the first shard's manifest for every shard.
func claimAll(x *result.Index) {
	for i := range x.Manifests {
		x.Manifests[i] = x.Manifests[0]
	}
}

// repeat puts the first shard's folder under the second's name too.
func repeat(list []blob.Entry) []blob.Entry {
	return append(list, blob.Entry{Name: path.Base(result.ShardDir(1)), Node: list[0].Node})
}

func none([]blob.Entry) []blob.Entry { return nil }

func without(name string) func([]blob.Entry) []blob.Entry {
	return func(list []blob.Entry) (out []blob.Entry) {
		for _, e := range list {
			if e.Name != name {
				out = append(out, e)
			}
		}
		return out
	}
}

func beside(list []blob.Entry) []blob.Entry {
	return append(list, blob.Entry{Name: "more", Node: list[0].Node})
}

// swap puts what another name holds under a name.
func swap(name, other string) func([]blob.Entry) []blob.Entry {
	return func(list []blob.Entry) []blob.Entry {
		var from blob.Node
		for _, e := range list {
			if e.Name == other {
				from = e.Node
			}
		}
		for i := range list {
			if list[i].Name == name {
				list[i].Node = from
			}
		}
		return list
	}
}
