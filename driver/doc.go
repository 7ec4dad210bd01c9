// Package driver turns a client's request into a provider's and reads what
// comes back: the body as bytes (Body), what each protocol means (Protocol),
// and each configured provider, compiled (Instance).
//
// A request is loaded once (Body.Load), its protocol found (Detect), and for
// every attempt a fork of the body is shaped by the instance (Instance.Shape)
// and sent behind the head of Instance.AppendHead. Events of the answer go
// through Protocol.Event into a Capture. The contract is ai-proxy.md; comments
// name its sections. Nothing here opens a connection: that is driver/wire.
package driver
