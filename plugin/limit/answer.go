package limit

import (
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"headrace/plugin"
)

// Answers is what a plugin that limits says to requests that it does not let
// pass, by the fields that all of them have.
type Answers struct {
	Code    int    `json:"rejected_code"`
	Message string `json:"rejected_msg"`
	Degrade bool   `json:"allow_degradation"`

	refusal []byte
	fault   []byte
	log     *slog.Logger
	owner   string
	last    *atomic.Int64 // when a failure was logged, Unix nanoseconds
}

// Prepare makes a usable after it was decoded. fault is the message of the
// answer when nothing can be counted, empty for an answer without a body.
func (a *Answers) Prepare(env *plugin.Env, fault string) {
	a.log, a.owner, a.last = env.Log, env.Source, new(atomic.Int64)
	if a.Message != "" {
		a.refusal = plugin.ErrorMessage(a.Message)
	}
	if fault != "" {
		a.fault = plugin.ErrorMessage(fault)
	}
}

// Refuse ends a request that is over a limit.
func (a *Answers) Refuse(c *plugin.Ctx) plugin.Verdict { return reply(c, a.Code, a.refusal) }

// Fail decides about a request that could not be counted: 500, or it passes
// with allow_degradation. Once a second the log says why.
func (a *Answers) Fail(c *plugin.Ctx, what string, err error) plugin.Verdict {
	a.complain(what, err)
	if a.Degrade {
		return 0
	}
	return reply(c, http.StatusInternalServerError, a.fault)
}

// Misfit is Fail for a request that fits no rule; its answer has no body.
func (a *Answers) Misfit(c *plugin.Ctx, what string, err error) plugin.Verdict {
	a.complain(what, err)
	if a.Degrade {
		return 0
	}
	return reply(c, http.StatusInternalServerError, nil)
}

func (a *Answers) complain(what string, err error) {
	now, last := time.Now().UnixNano(), a.last.Load()
	if now-last < int64(time.Second) || !a.last.CompareAndSwap(last, now) {
		return // requests may come faster than anybody reads
	}
	a.log.Error(what, "owner", a.owner, "err", err)
}

func reply(c *plugin.Ctx, status int, body []byte) plugin.Verdict {
	if body == nil {
		return c.Reply(status, "", nil)
	}
	return c.Reply(status, plugin.JSON, body)
}
