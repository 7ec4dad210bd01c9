package conf

import "bytes"

// ResolveJSON replaces every string of a JSON document that is a reference,
// keys not included, by what resolve makes of it. A document without any comes
// back as it is. The error is resolve's.
func ResolveJSON(raw []byte, resolve func(ref string) (string, error)) ([]byte, error) {
	if !bytes.Contains(raw, []byte("://")) && !bytes.Contains(raw, []byte(`\`)) {
		return raw, nil
	}
	var out []byte
	done := 0
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end := stringEnd(raw, i)
		if !isKey(raw, end) {
			if s := unquote(raw[i:end]); IsReference(s) {
				v, err := resolve(s)
				if err != nil {
					return nil, err
				}
				out = appendString(append(out, raw[done:i]...), v)
				done = end
			}
		}
		i = end - 1
	}
	return append(out, raw[done:]...), nil
}
