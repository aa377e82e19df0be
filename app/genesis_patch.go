package app

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Patch applies a JSON merge patch (RFC 7386) to the state: objects merge, null removes, anything else
// replaces. A patch may not name a module that the state lacks, since that is always a slip.
func (s GenesisState) Patch(patch json.RawMessage) (GenesisState, error) {
	var changes map[string]json.RawMessage
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, fmt.Errorf("%w: the patch is no JSON object: %w", ErrGenesis, err)
	}
	out := make(GenesisState, len(s))
	for name, part := range s {
		out[name] = part
	}
	for name, change := range changes {
		part, known := s[name]
		if !known {
			return nil, fmt.Errorf("%w: the patch names %q, which is no module of this chain", ErrGenesis, name)
		}
		merged, err := mergePatch(part, change)
		if err != nil {
			return nil, fmt.Errorf("%w: patch of %s: %w", ErrGenesis, name, err)
		}
		out[name] = merged
	}
	return out, nil
}

func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	t, err := decodeExact(target)
	if err != nil {
		return nil, err
	}
	p, err := decodeExact(patch)
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(merge(t, p))
	if err != nil {
		return nil, fmt.Errorf("encode the patched state: %w", err)
	}
	return out, nil
}

// decodeExact keeps numbers as they are written: amounts exceed what a float can hold.
func decodeExact(raw json.RawMessage) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	return v, nil
}

func merge(target, patch any) any {
	changes, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	out, isObject := target.(map[string]any)
	if !isObject {
		out = make(map[string]any, len(changes))
	}
	for key, change := range changes {
		if change == nil {
			delete(out, key)
			continue
		}
		out[key] = merge(out[key], change)
	}
	return out
}
