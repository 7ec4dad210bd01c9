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
	var offers []offer
	if json.Unmarshal(x.ask.tools, &offers) != nil || len(offers) == 0 {
		return nil
	}
	name := x.sc.tool
	if name == "" {
		var mode string
		var choice struct {
			Type string `json:"type"`
			offer
			Any  *struct{} `json:"any"`
			Tool function  `json:"tool"`
		}
		if json.Unmarshal(x.ask.toolChoice, &mode) != nil {
			json.Unmarshal(x.ask.toolChoice, &choice)
		}
		switch name = choice.name() + choice.Tool.Name; {
		case name != "":
		case mode == "required" || choice.Type == "any" || choice.Any != nil:
			name = offers[0].name()
		default:
			return nil
		}
	}
	t := &tool{name: name, args: `{"input":"from the mock"}`}
	for _, o := range offers {
		if o.name() == name {
			t.args = sample(o.schema())
		}
	}
	return t
}

// offer is an element of the client's tools in any of the protocols.
type offer struct {
	function
	Function function `json:"function"` // OpenAI chat nests them
	ToolSpec struct {
		Name        string `json:"name"`
		InputSchema struct {
			JSON json.RawMessage `json:"json"`
		} `json:"inputSchema"`
	} `json:"toolSpec"` // and so does Bedrock
}

type function struct {
	Name        string          `json:"name"`
	Parameters  json.RawMessage `json:"parameters"`
	InputSchema json.RawMessage `json:"input_schema"`
}

func (o *offer) name() string { return o.Name + o.Function.Name + o.ToolSpec.Name }

func (o *offer) schema() []byte {
	for _, s := range []json.RawMessage{o.Function.Parameters, o.Function.InputSchema, o.Parameters, o.InputSchema} {
		if s != nil {
			return s
		}
	}
	return o.ToolSpec.InputSchema.JSON
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
