package events_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// longText is from where on an answer is only outlined: what is in it, its own package tests.
const longText = 4000

// changing is what is different each time.
var changing = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?`), "<time>"},
	{regexp.MustCompile(`"((duration|time_in_queue)[a-z0-9_]*)": \d[0-9.e-]*`), `"$1": <number>`},
	{regexp.MustCompile(`[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT`), "<time>"},
	{regexp.MustCompile(`_seconds_sum \d.*`), "_seconds_sum <number>"},
	{regexp.MustCompile(`[0-9a-f]{64}`), "<sha256>"},
	{regexp.MustCompile(`sha-256=[A-Za-z0-9+/]{43}=`), "<digest>"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<uuid>"},
	{regexp.MustCompile(`bytes=\d+`), "bytes=<number>"},
}

func settled(text string) string {
	for _, c := range changing {
		text = c.pattern.ReplaceAllString(text, c.instead)
	}
	return text
}

func printJSON(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	must(t, e.Encode(v))
	return b.String()
}

// printAnswer prints an answer of the API as its client sees it.
func printAnswer(t *testing.T, answer events.APIGatewayV2HTTPResponse) string {
	t.Helper()
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		var err error
		body, err = base64.StdEncoding.DecodeString(answer.Body)
		must(t, err)
	}
	if want := answer.Headers["Digest"]; want != "" && answer.StatusCode == 200 && len(body) > 0 {
		sum := sha256.Sum256(body)
		if got := "sha-256=" + base64.StdEncoding.EncodeToString(sum[:]); got != want {
			t.Errorf("the answer's digest is %s, and it says %s", got, want)
		}
	}
	if answer.Headers["X-Request-Id"] != "" {
		answer.Headers["X-Request-Id"] = "<id>"
	}
	var head strings.Builder
	fmt.Fprintln(&head, answer.StatusCode)
	for _, name := range slices.Sorted(maps.Keys(answer.Headers)) {
		if name != "Content-Length" && name != "Etag" && name != "Content-Security-Policy" {
			fmt.Fprintf(&head, "%s: %s\n", name, answer.Headers[name])
		}
	}
	if answer.Headers["Content-Encoding"] == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		must(t, err)
		body, err = io.ReadAll(z)
		must(t, err)
	}
	return settled(head.String() + "\n" + printBody(t, answer.Headers["Content-Type"], body))
}

var titles = regexp.MustCompile(`(?s)<title>.*?</title>|<h1.*?</h1>`)

func printBody(t *testing.T, contentType string, body []byte) string {
	t.Helper()
	kind, _, _ := strings.Cut(contentType, ";")
	switch {
	case len(body) == 0:
		return ""
	case strings.HasSuffix(kind, "json"):
		var v any
		must(t, json.Unmarshal(body, &v))
		text := printJSON(t, v)
		if object, ok := v.(map[string]any); ok && len(text) > longText {
			return fmt.Sprintf("%v\n", slices.Sorted(maps.Keys(object)))
		}
		return text
	case kind == "text/html":
		return strings.Join(titles.FindAllString(string(body), -1), "\n") + "\n"
	case kind == "application/gzip":
		return "<bundle>\n"
	}
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if len(body) > longText {
		lines = lines[:1]
	}
	return strings.Join(lines, "\n") + "\n"
}
