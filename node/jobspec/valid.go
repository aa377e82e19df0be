package jobspec

import (
	"strconv"
	"unicode/utf8"
)

func lowerOrDigit(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// validName allows lower-case letters, digits and inner '-', '_', '.'.
func validName(v string) bool {
	if v == "" || len(v) > MaxNameBytes || !lowerOrDigit(v[0]) || !lowerOrDigit(v[len(v)-1]) {
		return false
	}
	for i := range len(v) {
		if c := v[i]; !lowerOrDigit(c) && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// validToken allows lower-case letters, digits and inner '-'.
func validToken(v string) bool {
	if v == "" || len(v) > MaxTokenBytes || v[0] == '-' || v[len(v)-1] == '-' {
		return false
	}
	for i := range len(v) {
		if !lowerOrDigit(v[i]) && v[i] != '-' {
			return false
		}
	}
	return true
}

func validEnvName(v string) bool {
	if v == "" || len(v) > MaxEnvNameBytes || v[0] >= '0' && v[0] <= '9' {
		return false
	}
	for i := range len(v) {
		c := v[i]
		if !lowerOrDigit(c) && c != '_' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

func hasControl(v string) bool {
	if !utf8.ValidString(v) {
		return true
	}
	for _, c := range v {
		if c < ' ' || c == 0x7f {
			return true
		}
	}
	return false
}

func indexed(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
