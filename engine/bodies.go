package engine

// Bodies for loggers (plugin.BodyLogger). What the gateway holds in memory
// anyway is shown from there; of uploads and relayed answers the beginning is
// copied, as much as the loggers of the request may show.

// keepUpload has the client's body copied on its way to the upstream.
func (f *flow) keepUpload() {
	n := f.snap.globals.maxReq
	if f.rt != nil {
		n = max(n, f.rt.maxReq)
	}
	if n > 0 {
		f.upload.kept, f.upload.keep = &f.got, n
	}
}

// keepAnswer has the relay copy what the client gets. Call it after the relay
// was started and before the answer's head leaves.
func (f *flow) keepAnswer() {
	n := f.snap.globals.wantedAnswer(f)
	if f.rt != nil {
		n = max(n, f.rt.wantedAnswer(f))
	}
	if n > 0 {
		f.relay.Copy(&f.gave, n)
	}
}

// wantedAnswer is how many bytes of the answer's body may be shown.
func (ch *chain) wantedAnswer(f *flow) (n int) {
	if ch.maxResp == 0 {
		return 0
	}
	for i := range ch.bodies {
		if s := &ch.bodies[i]; s.b.Runs(&f.Ctx) && s.do.WantsAnswer(&f.Ctx) {
			_, resp := s.do.Bodies()
			n = max(n, resp)
		}
	}
	return n
}

// showBodies gives the loggers what was kept.
func (f *flow) showBodies() {
	if f.ReqBody = f.raw; len(f.got) > 0 {
		f.ReqBody = f.got
	}
	if len(f.gave) > 0 {
		f.RespBody = f.gave
	}
}
