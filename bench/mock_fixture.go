package bench

import (
	"bytes"
	"io/fs"
	"path"
	"strconv"
)

// fixture answers with a canned file, the convention of APISIX's own tests:
// "X-AI-Fixture: openai/chat.sse" names it, X-AI-Fixture-Status its status.
// {{model}} in the file becomes the request's model. A stream keeps to pace
// and faults as any other.
func (x *exchange) fixture() error {
	status := 200
	if x.sc.status > 0 {
		status = x.sc.status
	}
	if x.r.fxs != "" {
		n, err := strconv.Atoi(x.r.fxs)
		if err != nil || n < 200 || n > 999 {
			return x.plain(400, x.errorBody(400, "X-AI-Fixture-Status "+strconv.Quote(x.r.fxs)+" is no status", "mock_fixture_error"))
		}
		status = n
	}
	name := x.r.fixture
	if x.m.root == nil {
		return x.plain(400, x.errorBody(400, "the mock has no fixtures: start it with --fixtures DIR", "mock_fixture_error"))
	}
	// Root refuses links that lead out as well; the name is checked for a clear answer.
	if !fs.ValidPath(name) {
		return x.plain(400, x.errorBody(400, "X-AI-Fixture "+strconv.Quote(name)+" is not a path inside the fixtures", "mock_fixture_error"))
	}
	data, err := x.m.root.ReadFile(name)
	if err != nil {
		return x.plain(404, x.errorBody(404, "cannot read fixture "+strconv.Quote(name), "mock_fixture_error"))
	}
	data = bytes.ReplaceAll(data, []byte("{{model}}"), bytes.Trim(x.model, `"`))
	if path.Ext(name) != ".sse" {
		return x.plain(status, data)
	}
	if x.sc.contentType == "" {
		x.sc.contentType = "text/event-stream"
	}
	return x.streamed(status, func() error { return x.fixtureEvents(data) })
}

// fixtureEvents sends data block by block, every byte of it.
func (x *exchange) fixtureEvents(data []byte) error {
	for len(data) > 0 {
		n := len(data)
		for _, blank := range []string{"\n\n", "\r\n\r\n"} {
			if i := bytes.Index(data[:n], []byte(blank)); i >= 0 {
				n = i + len(blank)
			}
		}
		x.hold = n == len(data)
		if err := x.event(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
