package logentry

import (
	"headrace/driver"
	"headrace/plugin"
)

// llmMembers are what the logging block of the AI proxy adds to any entry.
var llmMembers = object{
	{key("llm_summary"), func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		if !c.AI || !c.LogSummary {
			return dst, false
		}
		return summary.write(dst, c)
	}},
	{key("llm_request"), payload(object{
		{key("messages"), messages},
		{key("stream"), boolean(func(c *plugin.Ctx) bool { return c.Stream })},
	})},
	{key("llm_response_text"), payload(object{
		{key("content"), text(func(c *plugin.Ctx) []byte { return c.Capture.Text })},
	})},
}

var summary = object{
	{key("request_model"), text(func(c *plugin.Ctx) []byte { return c.RequestModel })},
	{key("model"), text(func(c *plugin.Ctx) []byte { return c.Model })},
	{key("duration"), number(func(c *plugin.Ctx) int64 { return c.Times.FirstToken.Milliseconds() })},
	{key("prompt_tokens"), number(func(c *plugin.Ctx) int64 { return c.Capture.Usage.Prompt })},
	{key("completion_tokens"), number(func(c *plugin.Ctx) int64 { return c.Capture.Usage.Completion })},
	{key("total_tokens"), number(func(c *plugin.Ctx) int64 { return c.Capture.Usage.Total })},
	{key("upstream_response_time"), number(func(c *plugin.Ctx) int64 { return c.Times.Upstream.Milliseconds() })},
	{key("stream"), boolean(func(c *plugin.Ctx) bool { return c.Stream })},
	{key("tool_count"), number(func(c *plugin.Ctx) int64 { return int64(c.ToolCount) })},
	{key("has_tool_calls"), boolean(func(c *plugin.Ctx) bool { return c.Capture.ToolCalls })},
	{key("end_user_id"), text(func(c *plugin.Ctx) []byte { return c.EndUser })},
	{key("cache_read_input_tokens"), number(func(c *plugin.Ctx) int64 { return c.Capture.Usage.CacheRead })},
	{key("cache_creation_input_tokens"), number(func(c *plugin.Ctx) int64 { return c.Capture.Usage.CacheCreation })},
	{key("reasoning_tokens"), number(func(c *plugin.Ctx) int64 { return c.Capture.Usage.Reasoning })},
	{key("content_risk_level"), variable("llm_content_risk_level")},
}

func payload(o object) value {
	return func(dst []byte, c *plugin.Ctx) ([]byte, bool) {
		if !c.AI || !c.LogPayload {
			return dst, false
		}
		return o.write(dst, c)
	}
}

// maxPayload bounds what a request's messages add to a line.
const maxPayload = 64 << 10

// messages writes what the client sent, as JSON, or the beginning of it as a
// string when it is too long.
func messages(dst []byte, c *plugin.Ctx) ([]byte, bool) {
	m := driver.Of(c.Proto).LogMessages(&c.Body)
	if len(m) <= maxPayload {
		return appendRaw(dst, m), m != nil
	}
	return driver.AppendString(dst, clip(m, maxPayload)), true
}
