package lines

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/fault"
)

func TestEach(t *testing.T) {
	long := strings.Repeat("x", 200<<10) // longer than what is buffered
	for text, want := range map[string][]string{
		"":                       {""},
		"a\nb":                   {"a\n", "b"},
		"a\r\n\n":                {"a\r\n", "\n", ""},
		long + "\n" + long + "y": {long + "\n", long + "y"},
	} {
		l := Reader{Path: "yarn.lock"}
		var got []string
		err := l.Each(strings.NewReader(text), 1<<20, func(line []byte) error {
			got = append(got, string(line))
			return nil
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil || l.Line != len(want) {
			t.Errorf("%.20q: %v, at line %d (-want +got):\n%.500s", text, err, l.Line, diff)
		}
	}
}

func TestEachRefuses(t *testing.T) {
	stop := errors.New("stop")
	for _, test := range []struct {
		name, text string
		do         error
		want       error
	}{
		{"a line too long", "a\n" + strings.Repeat("x", MaxLineBytes+1), nil, fault.Client(fault.InvalidFileFormat, "yarn.lock:2: the line has more than %d bytes", MaxLineBytes)},
		{"too many bytes", strings.Repeat("0123456789\n", 2<<20/11+1), nil, fault.Client(fault.UnsupportedFeature, "The file yarn.lock has more than %d bytes, the limit", 2<<20)},
		{"what the caller refuses", "a\nb\n", stop, stop},
	} {
		l := Reader{Path: "yarn.lock"}
		if err := l.Each(strings.NewReader(test.text), 2<<20, func([]byte) error { return test.do }); err == nil || err.Error() != test.want.Error() {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestQuoted(t *testing.T) {
	l := Reader{Path: "yarn.lock", Line: 7}
	if value, end, err := l.Quoted(`"a\"b" "c"`); value != `a"b` || end != 6 || err != nil {
		t.Errorf("got %q, %d, %v", value, end, err)
	}
	for text, want := range map[string]string{
		`"a`:    `yarn.lock:7: the quotes at "\"a" do not end`,
		`"a\"`:  `yarn.lock:7: the quotes at "\"a\\\"" do not end`,
		`"\x" `: `yarn.lock:7: the text "\"\\x\"" is not quoted as in JSON`,
	} {
		if _, _, err := l.Quoted(text); err == nil || err.Error() != want || !fault.IsClient(err) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{
		"short":                           "short",
		strings.Repeat("x", 60):           strings.Repeat("x", 60),
		strings.Repeat("x", 61):           strings.Repeat("x", 60) + "...",
		strings.Repeat("x", 59) + "äbcde": strings.Repeat("x", 59) + "...",
	} {
		if got := Shorten(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
