package bench

import (
	"encoding/json"
	"unicode/utf8"
)

// tool is a function that the client offers.
type tool struct {
	name string
	args string // JSON that fits its schema
}

// tool returns the tool to call: the one that the script names or the request
// forces; nil for an answer in words.
func (x *exchange) tool() *tool {
	if len(x.ask.tools) == 0 || (x.sc.tool == "" && len(x.ask.toolChoice) == 0) {
		return nil
	}
	type function struct {
		Name        string          `json:"name"`
		Parameters  json.RawMessage `json:"parameters"`
		InputSchema json.RawMessage `json:"input_schema"`
	}
	var offers []struct {
		function
		Function function `json:"function"` // OpenAI chat nests them
	}
	if json.Unmarshal(x.ask.tools, &offers) != nil || len(offers) == 0 {
		return nil
	}
	name := x.sc.tool
	if name == "" {
		var mode string
		var choice struct {
			Type     string   `json:"type"`
			Name     string   `json:"name"`
			Function function `json:"function"`
		}
		if json.Unmarshal(x.ask.toolChoice, &mode) != nil {
			json.Unmarshal(x.ask.toolChoice, &choice)
		}
		switch name = choice.Name + choice.Function.Name; {
		case name != "":
		case mode == "required" || choice.Type == "any":
			name = offers[0].Name + offers[0].Function.Name
		default:
			return nil
		}
	}
	t := &tool{name: name, args: `{"input":"from the mock"}`}
	for _, o := range offers {
		f := o.Function
		if f.Name == "" {
			f = o.function
		}
		if f.Name == name {
			t.args = sample(append(f.Parameters, f.InputSchema...))
		}
	}
	return t
}

// sample makes arguments that fit a JSON schema of the usual kind.
func sample(schema []byte) string {
	var s struct {
		Properties map[string]struct {
			Type json.RawMessage   `json:"type"`
			Enum []json.RawMessage `json:"enum"`
		} `json:"properties"`
	}
	json.Unmarshal(schema, &s)
	args := map[string]any{}
	for name, p := range s.Properties {
		if len(p.Enum) > 0 {
			args[name] = p.Enum[0]
			continue
		}
		switch string(p.Type) {
		case `"integer"`, `"number"`:
			args[name] = 7
		case `"boolean"`:
			args[name] = true
		case `"array"`:
			args[name] = []any{}
		case `"object"`:
			args[name] = map[string]any{}
		default:
			args[name] = "mock " + name
		}
	}
	b, _ := json.Marshal(args)
	return string(b)
}

// fragments cuts s into pieces of some 7 bytes, between characters.
func fragments(s string) (f []string) {
	for len(s) > 7 {
		n := 7
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n++
		}
		f, s = append(f, s[:n]), s[n:]
	}
	return append(f, s)
}
