package telemetry

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// RequestSpan names the span under which everything that is done for a Cachito request hangs. Messages
// between steps hold a request's id and a step, nothing else, so the span is worked out from what the
// request's row has from its beginning: whoever reads the row finds the same trace.
func RequestSpan(id int64, created time.Time, repo, ref string) SpanID {
	sum := sha256.Sum256(fmt.Appendf(nil, "cachito request\n%d\n%d\n%s\n%s\n", id, created.Unix(), repo, ref))
	var s SpanID
	copy(s.Trace[:], sum[:16])
	copy(s.Span[:], sum[16:24])
	return s
}

// TraceParent prints a span as the header traceparent has it, sampled
// (https://www.w3.org/TR/trace-context/): "00-<32 hex digits>-<16 hex digits>-01".
func (s SpanID) TraceParent() string {
	return "00-" + hex.EncodeToString(s.Trace[:]) + "-" + hex.EncodeToString(s.Span[:]) + "-01"
}

// ParseTraceParent reads the header traceparent. What cannot be read is no span: a caller's tracing is no
// reason to refuse its call.
func ParseTraceParent(header string) SpanID {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 || strings.ToLower(header) != header {
		return SpanID{}
	}
	var s SpanID
	if len(parts[1]) != 2*len(s.Trace) || len(parts[2]) != 2*len(s.Span) {
		return SpanID{}
	}
	if _, err := hex.Decode(s.Trace[:], []byte(parts[1])); err != nil || s.Trace == [16]byte{} {
		return SpanID{}
	}
	if _, err := hex.Decode(s.Span[:], []byte(parts[2])); err != nil || s.Span == [8]byte{} {
		return SpanID{}
	}
	return s
}
