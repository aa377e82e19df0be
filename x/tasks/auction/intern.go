package auction

// names gives each distinct string of one model a number, so that rules compare integers. Number 0 is the
// empty string. Its map is asked by key only and never ranged over.
type names struct {
	ids map[string]uint32
}

func newNames() names { return names{ids: map[string]uint32{"": 0}} }

func (n names) id(s string) uint32 {
	id, known := n.ids[s]
	if !known {
		id = uint32(len(n.ids))
		n.ids[s] = id
	}
	return id
}

func (n names) all(words []string) []uint32 {
	if len(words) == 0 {
		return nil
	}
	out := make([]uint32, len(words))
	for i, w := range words {
		out[i] = n.id(w)
	}
	return out
}

func contains(ids []uint32, id uint32) bool {
	for _, v := range ids {
		if v == id {
			return true
		}
	}
	return false
}
