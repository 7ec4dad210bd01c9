package t

import (
	enc "encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// answer is what a client understands of an answer, whole or streamed. The
// readers are slow and forgiving as good clients are, and shares no code with
// the gateway.
type answer struct {
	Text, Reasoning string
	Calls           []call
	Vectors         int
	Usage           tokens
	Stop            string
	Done            bool     // by the rules of its protocol it is complete
	Fault           string   // the message of an error in it
	Wrong           []string // what an official client would break at

	blocks map[string]*block // of Anthropic's and Bedrock's streams
	end    bool              // message_stop
}

type call struct {
	ID, Name, Arguments string

	index any
}

// String is the way want.yaml has it.
func (c call) String() string { return c.Name + " " + c.Arguments }

type block struct {
	call   int // in Calls, -1: it is none
	closed bool
}

// tokens are in the terms of OpenAI's chat; Total is their sum unless given.
type tokens struct {
	Prompt, Completion, Total, Cached, Created, Reasoning int64
}

// readAnswer reads the body of an answer to a client of a protocol.
func readAnswer(client string, stream bool, body []byte) (a answer, err error) {
	d := dialects[client]
	if !stream {
		doc, err := decode(body)
		if err != nil {
			return a, err
		}
		if a.Fault = faultOf(doc); a.Fault == "" {
			d.whole(&a, doc)
		}
	} else {
		events, err := d.split(body)
		if err != nil {
			return a, err
		}
		for _, e := range events {
			if e.data == "[DONE]" || e.data == "" {
				continue
			}
			doc, err := decode([]byte(e.data))
			if err != nil {
				return a, err
			}
			if a.Fault = faultOf(doc); a.Fault != "" {
				break
			}
			if d.event(&a, e.name, doc); a.Fault != "" {
				break
			}
		}
	}
	for i, c := range a.Calls {
		if doc, err := decode([]byte(c.Arguments)); err == nil {
			text, _ := json.Marshal(doc)
			a.Calls[i].Arguments = string(text)
		} else {
			a.Wrong = append(a.Wrong, "arguments of "+c.Name+": "+err.Error())
		}
	}
	if a.Fault != "" {
		a.Done = false
	}
	return a, nil
}

// event is one of a stream.
type event struct{ name, data string }

// sseEvents reads server-sent events. The field error is llama.cpp's.
func sseEvents(body []byte) (list []event, err error) {
	for b := range strings.SplitSeq(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n\n") {
		var e event
		for line := range strings.SplitSeq(b, "\n") {
			field, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				e.name = value
			case "data":
				e.data += value
			case "error":
				e.data = `{"error":` + value + `}`
			}
		}
		if e.data != "" {
			list = append(list, e)
		}
	}
	return list, nil
}

// frameEvents reads AWS frames, whose headers are strings.
func frameEvents(body []byte) (list []event, err error) {
	for len(body) > 0 {
		if len(body) < 16 || int(enc.BigEndian.Uint32(body)) > len(body) {
			return nil, fmt.Errorf("%d bytes are no frame", len(body))
		}
		size, head := enc.BigEndian.Uint32(body), enc.BigEndian.Uint32(body[4:])
		e := event{data: string(body[12+head : size-4])}
		for h := body[12 : 12+head]; len(h) > 0; {
			n := int(h[0])
			m := int(enc.BigEndian.Uint16(h[n+2:]))
			if string(h[1:1+n]) == ":event-type" {
				e.name = string(h[n+4 : n+4+m])
			}
			h = h[n+4+m:]
		}
		list, body = append(list, e), body[size:]
	}
	return list, nil
}

// faultOf is the message of an error that doc is or has, in any of the
// providers' forms.
func faultOf(doc any) string {
	if list, ok := doc.([]any); ok && len(list) > 0 {
		doc = list[0]
	}
	for _, path := range []string{"error.message", "error", "message"} {
		if s := str(doc, path); s != "" {
			return s
		}
	}
	return ""
}

func str(doc any, path string) string {
	v, _ := walk(doc, path)
	s, _ := v.(string)
	return s
}

func num(doc any, path string) int64 {
	v, _ := walk(doc, path)
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return i
}

func each(doc any, path string) []any {
	v, _ := walk(doc, path)
	list, _ := v.([]any)
	return list
}

// chat takes in a chat completion or a chunk of one.
func (a *answer) chat(doc any) {
	if v, _ := walk(doc, "usage"); v != nil {
		a.Usage = tokens{
			Prompt: num(v, "prompt_tokens"), Completion: num(v, "completion_tokens"), Total: num(v, "total_tokens"),
			Cached: num(v, "prompt_tokens_details.cached_tokens"), Created: num(v, "prompt_tokens_details.cache_creation_input_tokens"), Reasoning: num(v, "completion_tokens_details.reasoning_tokens"),
		}
	}
	choice, ok := walk(doc, "choices.0")
	if !ok {
		return
	}
	said, ok := walk(choice, "delta")
	if !ok {
		said, _ = walk(choice, "message")
	}
	a.Text += str(said, "content")
	if s := str(said, "reasoning_content"); s != "" {
		a.Reasoning += s
	} else {
		a.Reasoning += str(said, "reasoning")
	}
	for _, c := range each(said, "tool_calls") {
		a.chatCall(c)
	}
	switch reason := str(choice, "finish_reason"); reason {
	case "":
	case "error", "insufficient_system_resource":
		if a.Fault = faultOf(choice); a.Fault == "" {
			a.Fault = reason
		}
	default:
		a.Stop, a.Done = reason, true
	}
}

// chatCall takes in a call or a piece of one: a name begins a call, unless the
// id is known.
func (a *answer) chatCall(c any) {
	index, _ := walk(c, "index")
	id, name := str(c, "id"), str(c, "function.name")
	i := slices.IndexFunc(a.Calls, func(k call) bool { return id != "" && k.ID == id })
	if i < 0 && name != "" {
		a.Calls = append(a.Calls, call{ID: id, Name: name, index: index})
		i = len(a.Calls) - 1
	}
	for j := len(a.Calls) - 1; i < 0 && j >= 0; j-- {
		if a.Calls[j].index == index || index == nil {
			i = j
		}
	}
	if i < 0 {
		a.Wrong = append(a.Wrong, "a piece of no call")
		return
	}
	a.Calls[i].Arguments += str(c, "function.arguments")
}

// anthropicUsage takes in what u counts.
func (a *answer) anthropicUsage(u any) {
	for path, n := range map[string]*int64{
		"input_tokens": &a.Usage.Prompt, "output_tokens": &a.Usage.Completion,
		"cache_read_input_tokens": &a.Usage.Cached, "cache_creation_input_tokens": &a.Usage.Created,
	} {
		if _, ok := walk(u, path); ok {
			*n = num(u, path)
		}
	}
}

// message takes in a whole message of Anthropic's.
func (a *answer) message(doc any) {
	for _, b := range each(doc, "content") {
		switch str(b, "type") {
		case "text":
			a.Text += str(b, "text")
		case "thinking":
			a.Reasoning += str(b, "thinking")
		case "tool_use":
			input, _ := walk(b, "input")
			text, _ := json.Marshal(input)
			a.Calls = append(a.Calls, call{ID: str(b, "id"), Name: str(b, "name"), Arguments: string(text)})
		}
	}
	u, _ := walk(doc, "usage")
	a.anthropicUsage(u)
	a.Stop = str(doc, "stop_reason")
	a.Done = a.Stop != ""
}

// messageEvent takes in an event of Anthropic's and is as strict as their SDK,
// which throws where a member that it writes into or reads from is missing.
func (a *answer) messageEvent(name string, doc any) {
	wrong := func(what string) { a.Wrong = append(a.Wrong, name+": "+what) }
	if str(doc, "type") != name {
		wrong("type " + str(doc, "type"))
	}
	if a.end {
		wrong("behind the end")
	}
	index := fmt.Sprint(num(doc, "index"))
	b := a.blocks[index]
	switch name {
	case "ping":
	case "message_start":
		if a.blocks != nil || str(doc, "message.id") == "" || str(doc, "message.model") == "" {
			wrong("not first, or without id or model")
		}
		a.blocks = map[string]*block{}
		u, _ := walk(doc, "message.usage")
		a.anthropicUsage(u)
	case "content_block_start":
		if a.blocks == nil || b != nil {
			wrong("block " + index)
			return
		}
		b = &block{call: -1}
		if str(doc, "content_block.type") == "tool_use" {
			b.call = len(a.Calls)
			a.Calls = append(a.Calls, call{ID: str(doc, "content_block.id"), Name: str(doc, "content_block.name")})
		}
		a.blocks[index] = b
	case "content_block_delta":
		if b == nil {
			wrong("block " + index)
			return
		}
		a.Text += str(doc, "delta.text")
		a.Reasoning += str(doc, "delta.thinking")
		if b.call >= 0 {
			a.Calls[b.call].Arguments += str(doc, "delta.partial_json")
		}
	case "content_block_stop":
		if b == nil || b.closed {
			wrong("block " + index)
			return
		}
		b.closed = true
	case "message_delta":
		u, _ := walk(doc, "usage")
		if _, ok := walk(u, "output_tokens"); !ok {
			wrong("no usage")
		}
		a.anthropicUsage(u)
		a.Stop = str(doc, "delta.stop_reason")
	case "message_stop":
		for i, b := range a.blocks {
			if !b.closed {
				wrong("block " + i + " is open")
			}
		}
		a.end, a.Done = true, a.Stop != ""
	default:
		wrong("unknown")
	}
}

// response takes in a whole answer of the Responses API.
func (a *answer) response(doc any) {
	for _, item := range each(doc, "output") {
		a.responseItem(item)
		for _, p := range each(item, "content") {
			if str(p, "type") == "reasoning_text" {
				a.Reasoning += str(p, "text")
			} else {
				a.Text += str(p, "text")
			}
		}
	}
	a.responseUsage(doc)
	a.Done = str(doc, "status") == "completed"
}

func (a *answer) responseItem(item any) {
	if str(item, "type") == "function_call" {
		a.Calls = append(a.Calls, call{ID: str(item, "call_id"), Name: str(item, "name"), Arguments: str(item, "arguments")})
	}
}

func (a *answer) responseUsage(doc any) {
	u, _ := walk(doc, "usage")
	a.Usage = tokens{
		Prompt: num(u, "input_tokens"), Completion: num(u, "output_tokens"), Total: num(u, "total_tokens"),
		Cached: num(u, "input_tokens_details.cached_tokens"), Reasoning: num(u, "output_tokens_details.reasoning_tokens"),
	}
}

func (a *answer) responseEvent(name string, doc any) {
	switch name {
	case "response.output_text.delta":
		a.Text += str(doc, "delta")
	case "response.reasoning_text.delta":
		a.Reasoning += str(doc, "delta")
	case "response.output_item.done":
		item, _ := walk(doc, "item")
		a.responseItem(item)
	case "response.completed":
		r, _ := walk(doc, "response")
		a.responseUsage(r)
		a.Done = true
	case "response.failed":
		r, _ := walk(doc, "response")
		a.Fault = faultOf(r)
	}
}

// converse takes in a whole answer of Bedrock's.
func (a *answer) converse(doc any) {
	for _, b := range each(doc, "output.message.content") {
		a.Text += str(b, "text")
		if input, ok := walk(b, "toolUse.input"); ok {
			text, _ := json.Marshal(input)
			a.Calls = append(a.Calls, call{ID: str(b, "toolUse.toolUseId"), Name: str(b, "toolUse.name"), Arguments: string(text)})
		}
	}
	a.converseUsage(doc)
	a.Stop = str(doc, "stopReason")
	a.Done = a.Stop != ""
}

func (a *answer) converseUsage(doc any) {
	a.Usage = tokens{Prompt: num(doc, "usage.inputTokens"), Completion: num(doc, "usage.outputTokens"), Total: num(doc, "usage.totalTokens")}
}

func (a *answer) converseEvent(name string, doc any) {
	switch name {
	case "contentBlockStart":
		if s := str(doc, "start.toolUse.name"); s != "" {
			a.Calls = append(a.Calls, call{ID: str(doc, "start.toolUse.toolUseId"), Name: s})
		}
	case "contentBlockDelta":
		a.Text += str(doc, "delta.text")
		if s := str(doc, "delta.toolUse.input"); s != "" && len(a.Calls) > 0 {
			a.Calls[len(a.Calls)-1].Arguments += s
		}
	case "messageStop":
		a.Stop = str(doc, "stopReason")
	case "metadata":
		a.converseUsage(doc)
		a.Done = a.Stop != ""
	}
}

// embeddings takes in a list of vectors.
func (a *answer) embeddings(doc any) {
	for _, d := range each(doc, "data") {
		if len(each(d, "embedding")) > 0 {
			a.Vectors++
		}
	}
	a.Usage = tokens{Prompt: num(doc, "usage.prompt_tokens"), Total: num(doc, "usage.total_tokens")}
	a.Done = a.Vectors > 0
}
