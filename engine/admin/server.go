package admin

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"
)

// NewServer makes the server that one of this package's handlers wants: the
// Admin API has to see the size of a body before it is read. The log gets
// what the server itself has to say; it may be nil.
func NewServer(h fasthttp.RequestHandler, log *slog.Logger) *fasthttp.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &fasthttp.Server{
		Handler:               h,
		Logger:                quiet{log},
		StreamRequestBody:     true,
		MaxRequestBodySize:    64 << 10, // read before the handler runs; the rest is streamed
		ReadBufferSize:        16 << 10,
		ReadTimeout:           60 * time.Second,
		IdleTimeout:           75 * time.Second,
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		CloseOnShutdown:       true,
		SecureErrorLogMessage: true,

		DisablePreParseMultipartForm: true,
	}
}

// quiet hands the server's own messages to the error log.
type quiet struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (q quiet) Printf(format string, args ...any) { q.log.Debug(fmt.Sprintf(format, args...)) }

// peer is the address of the client, invalid if the connection has none (a
// socket file).
func peer(ctx *fasthttp.RequestCtx) netip.Addr {
	ap, err := netip.ParseAddrPort(ctx.RemoteAddr().String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

// reply sends a JSON text and the newline that APISIX puts after it.
func reply(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}

// fail sends an error in APISIX's form.
func fail(ctx *fasthttp.RequestCtx, status int, text string) {
	reply(ctx, status, append(appendQuoted([]byte(`{"error_msg":`), text), '}'))
}
