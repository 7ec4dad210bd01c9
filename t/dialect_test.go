package t

import "encoding/json"

// dialect is a protocol as a client speaks it: what it asks, and how it reads
// what it gets.
type dialect struct {
	path   string
	stream string // path of a stream, if it has one of its own
	body   func(q question) map[string]any
	split  func([]byte) ([]event, error)
	whole  func(a *answer, doc any)
	event  func(a *answer, name string, doc any) // nil: it has no streams
}

// question is what the tests ask providers, real ones and the mock, in any
// protocol.
type question struct {
	model         string
	stream, tools bool // tools: it has to be answered by a call of get_weather
	limit         int  // of tokens; 0: the protocol's own member stays out
}

const (
	questionText = "Which sea is east of Sweden? Answer with its name only."
	weatherText  = "What is the weather in Bonn? Use the tool."
	weatherTool  = "get_weather"
)

func (q question) text() string {
	if q.tools {
		return weatherText
	}
	return questionText
}

var weatherSchema = map[string]any{
	"type": "object", "required": []string{"city"},
	"properties": map[string]any{"city": map[string]any{"type": "string", "description": "Name of the city"}},
}

// dialects are named as in the files of fixtures.
var dialects = map[string]dialect{
	"chat": {
		path: "/v1/chat/completions", split: sseEvents,
		body: func(q question) map[string]any {
			m := map[string]any{"model": q.model, "messages": []any{map[string]any{"role": "user", "content": q.text()}}}
			if q.stream {
				m["stream"], m["stream_options"] = true, map[string]any{"include_usage": true}
			}
			if q.limit > 0 {
				m["max_tokens"] = q.limit
			}
			if q.tools {
				f := map[string]any{"name": weatherTool, "description": "The weather in a city", "parameters": weatherSchema}
				m["tools"] = []any{map[string]any{"type": "function", "function": f}}
				m["tool_choice"] = map[string]any{"type": "function", "function": map[string]any{"name": weatherTool}}
			}
			return m
		},
		whole: (*answer).chat,
		event: func(a *answer, _ string, doc any) { a.chat(doc) },
	},
	"messages": {
		path: "/v1/messages", split: sseEvents,
		body: func(q question) map[string]any {
			m := map[string]any{"model": q.model, "max_tokens": max(q.limit, 1), "messages": []any{map[string]any{"role": "user", "content": q.text()}}}
			if q.stream {
				m["stream"] = true
			}
			if q.tools {
				m["tools"] = []any{map[string]any{"name": weatherTool, "description": "The weather in a city", "input_schema": weatherSchema}}
				m["tool_choice"] = map[string]any{"type": "tool", "name": weatherTool}
			}
			return m
		},
		whole: (*answer).message,
		event: (*answer).messageEvent,
	},
	"responses": {
		path: "/v1/responses", split: sseEvents,
		body: func(q question) map[string]any {
			m := map[string]any{"model": q.model, "input": q.text()}
			if q.stream {
				m["stream"] = true
			}
			if q.limit > 0 {
				m["max_output_tokens"] = q.limit
			}
			if q.tools {
				m["tools"] = []any{map[string]any{"type": "function", "name": weatherTool, "description": "The weather in a city", "parameters": weatherSchema}}
				m["tool_choice"] = map[string]any{"type": "function", "name": weatherTool}
			}
			return m
		},
		whole: (*answer).response,
		event: (*answer).responseEvent,
	},
	"converse": {
		path: "/converse", stream: "/converse-stream", split: frameEvents,
		body: func(q question) map[string]any {
			m := map[string]any{"model": q.model, "messages": []any{map[string]any{"role": "user", "content": []any{map[string]any{"text": q.text()}}}}}
			if q.limit > 0 {
				m["inferenceConfig"] = map[string]any{"maxTokens": q.limit}
			}
			if q.tools {
				spec := map[string]any{"name": weatherTool, "description": "The weather in a city", "inputSchema": map[string]any{"json": weatherSchema}}
				m["toolConfig"] = map[string]any{"tools": []any{map[string]any{"toolSpec": spec}}, "toolChoice": map[string]any{"tool": map[string]any{"name": weatherTool}}}
			}
			return m
		},
		whole: (*answer).converse,
		event: (*answer).converseEvent,
	},
	"embeddings": {
		path:  "/v1/embeddings",
		body:  func(q question) map[string]any { return map[string]any{"model": q.model, "input": questionText} },
		whole: (*answer).embeddings,
	},
}

// ask sends q to the gateway under prefix and returns what came; check is in
// the query, which goes no further than into the log.
func (s *state) ask(prefix, client, check string, q question, args ...string) (*reply, error) {
	d := dialects[client]
	path := d.path
	if q.stream && d.stream != "" {
		path = d.stream
	}
	body, err := json.Marshal(d.body(q))
	if err != nil {
		return nil, err
	}
	args = append(args, "-", "POST", s.getenv("TRAFFIC")+prefix+path+"?check="+check, "-d", string(body))
	_, err = s.cmdHTTP(args)
	return s.resp, err
}
