package expr

import "bytes"

// hasElement tells whether the JSON array raw has an element that equals c.
// Of an array that is not well-formed, the elements before the fault count.
func hasElement(raw []byte, c *constant) bool {
	i := skipSpace(raw, 1) // after the bracket
	for i < len(raw) && raw[i] != ']' {
		end := skipValue(raw, i)
		if end < 0 {
			return false
		}
		// Only elements that can be equal are converted.
		if mayBe(raw[i], c.kind) {
			if v := JSONValue(raw[i:end]); c.equal(&v) {
				return true
			}
		}
		i = skipSpace(raw, end)
		if i >= len(raw) || raw[i] != ',' {
			return false
		}
		i = skipSpace(raw, i+1)
	}
	return false
}

// mayBe tells by its first byte whether a JSON value can be of the kind.
func mayBe(first byte, k Kind) bool {
	switch first {
	case '"':
		return k == String
	case '[', '{':
		return false
	case 't', 'f':
		return k == Bool
	case 'n':
		return k == Null
	}
	return k == Number
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index behind the value that begins at i, or -1 if it
// has no end or is empty. Brackets are counted, not paired: what comes here
// was parsed before.
func skipValue(raw []byte, i int) int {
	depth := 0
	for start := i; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i)
			if i < 0 {
				return -1
			}
			if depth == 0 {
				return i + 1
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return end(start, i)
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return end(start, i)
			}
		}
	}
	return -1
}

func end(start, i int) int {
	if start == i {
		return -1
	}
	return i
}

// skipString returns the index of the closing quote of the string at i.
func skipString(raw []byte, i int) int {
	for at := i + 1; at < len(raw); {
		k := bytes.IndexByte(raw[at:], '"')
		if k < 0 {
			return -1
		}
		// A quote behind an odd number of backslashes belongs to the text.
		end, slashes := at+k, 0
		for end-1-slashes > i && raw[end-1-slashes] == '\\' {
			slashes++
		}
		if slashes&1 == 0 {
			return end
		}
		at = end + 1
	}
	return -1
}
