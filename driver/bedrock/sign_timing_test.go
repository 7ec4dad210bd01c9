package bedrock

import (
	"bytes"
	"testing"

	"headrace/driver"
)

func BenchmarkSign(b *testing.B) {
	in := compile(b, `{"provider":"bedrock","provider_conf":{"region":"us-east-1"},"auth":{"aws":{`+awsKeys+`,"session_token":"token"}}}`)
	s := NewSigner(in.AWS())
	rq := driver.HeadInput{Target: driver.BedrockConverse, Model: []byte("anthropic.claude-3-5-sonnet-20241022-v2:0"), ContentLength: 6 << 10,
		Headers: []byte("Accept: */*\r\nUser-Agent: aws-sdk\r\nX-Amz-Date: 20150830T123600Z\r\n")}
	body := [][]byte{bytes.Repeat([]byte("x"), 6<<10)}
	var head []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if head, err = in.AppendHead(head[:0], &rq); err != nil {
			b.Fatal(err)
		}
		if head, err = s.Sign(head, body, at); err != nil {
			b.Fatal(err)
		}
	}
}
