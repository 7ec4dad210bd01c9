package driver

// The JSON walk: strict RFC 8259 (invalid UTF-8 inside strings passes, as it
// does in APISIX's parser), without recursion, without allocation.

// maxDepth is how deep arrays and objects may nest, the limit of APISIX's parser.
const maxDepth = 1000

// maxFields bounds the members of the top-level object: the span table costs
// more memory than the shortest members do, which a hostile body would use.
const maxFields = 1 << 16

func skipSpace(p []byte, i int) int {
	for i < len(p) && p[i] <= ' ' && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t') {
		i++
	}
	return i
}

// skipScalar returns the index behind the number or literal at i, -1 if it is none.
func skipScalar(p []byte, i int) int {
	switch p[i] {
	case 't':
		if i+4 <= len(p) && string(p[i:i+4]) == "true" {
			return i + 4
		}
	case 'f':
		if i+5 <= len(p) && string(p[i:i+5]) == "false" {
			return i + 5
		}
	case 'n':
		if i+4 <= len(p) && string(p[i:i+4]) == "null" {
			return i + 4
		}
	default:
		return skipNumber(p, i)
	}
	return -1
}

func skipDigits(p []byte, i int) int {
	for i < len(p) && p[i]-'0' < 10 {
		i++
	}
	return i
}

func skipNumber(p []byte, i int) int {
	if p[i] == '-' {
		i++
	}
	if i >= len(p) {
		return -1
	}
	switch c := p[i]; {
	case c == '0':
		i++
	case '1' <= c && c <= '9':
		i = skipDigits(p, i+1)
	default:
		return -1
	}
	if i < len(p) && p[i] == '.' {
		j := skipDigits(p, i+1)
		if j == i+1 {
			return -1
		}
		i = j
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		j := skipDigits(p, i)
		if j == i {
			return -1
		}
		i = j
	}
	return i
}

// skipKey walks over a member's key, its colon and the space around it; i
// stands where the key should be. It returns the start of the value.
func skipKey(p []byte, i int) (int, want) {
	if i >= len(p) || p[i] != '"' {
		return i, wantKey
	}
	end := skipString(p, i+1)
	if end < 0 {
		return i, wantKey
	}
	if i = end; i >= len(p) || p[i] != ':' {
		if i = skipSpace(p, i); i >= len(p) || p[i] != ':' {
			return i, wantColon
		}
	}
	if i++; i < len(p) && p[i] > ' ' {
		return i, wantNone
	}
	return skipSpace(p, i), wantNone
}

// skipValue walks over the value at i, which stands inside depth containers.
// It returns the index behind it; with a want other than wantNone, the index
// of the token that was refused.
func skipValue(p []byte, i, depth int) (int, want) {
	if i >= len(p) {
		return i, wantValue
	}
	end := -1
	switch p[i] {
	case '"':
		end = skipString(p, i+1)
	case '{', '[':
		return skipContainer(p, i, depth)
	default:
		end = skipScalar(p, i)
	}
	if end < 0 {
		return i, wantValue
	}
	return end, wantNone
}

// skipContainer is skipValue for an array or object. A bit per level says
// which of the two it is.
func skipContainer(p []byte, i, depth int) (int, want) {
	var (
		levels [maxDepth/64 + 1]uint64
		base   = depth
		object bool
		w      want
	)
	for {
		if i >= len(p) {
			return i, wantValue
		}
		switch c := p[i]; c {
		case '"':
			end := skipString(p, i+1)
			if end < 0 {
				return i, wantValue
			}
			i = end
		case '{', '[':
			if depth++; depth > maxDepth {
				return i, tooDeep
			}
			object = c == '{'
			if bit := uint64(1) << (depth & 63); object {
				levels[depth>>6] |= bit
			} else {
				levels[depth>>6] &^= bit
			}
			i = skipSpace(p, i+1)
			if i < len(p) && p[i] == c+2 { // '{'+2 is '}', '['+2 is ']'
				break // empty: the loop below closes it
			}
			if object {
				if i, w = skipKey(p, i); w != wantNone {
					return i, w
				}
			}
			continue
		default:
			end := skipScalar(p, i)
			if end < 0 {
				return i, wantValue
			}
			i = end
		}
		// A value ended at i: close what closes, then go on behind a comma.
		for {
			if i < len(p) && p[i] <= ' ' {
				i = skipSpace(p, i)
			}
			closer, miss := byte(']'), wantArrayEnd
			if object {
				closer, miss = '}', wantObjectEnd
			}
			if i >= len(p) {
				return i, miss
			}
			if p[i] == closer {
				i++
				if depth--; depth == base {
					return i, wantNone
				}
				object = levels[depth>>6]>>(depth&63)&1 != 0
				continue
			}
			if p[i] != ',' {
				return i, miss
			}
			if i++; i < len(p) && p[i] <= ' ' {
				i = skipSpace(p, i)
			}
			if object {
				if i, w = skipKey(p, i); w != wantNone {
					return i, w
				}
			}
			break
		}
	}
}
