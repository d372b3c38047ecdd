package api

import (
	"math"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
	"github.com/cachito-serverless/cachito/shared/request"
)

// param is a declared query parameter.
type param struct {
	name     string
	kind     paramKind
	required bool
	schema   *request.Schema // of texts
	many     bool            // may be repeated, every value counts
}

type paramKind int

const (
	textParam  paramKind = iota
	countParam           // integer >= 1
	boolParam
	dateParam
	namedEnumParam // one of schema.Enum; the message names the parameter
)

// query is what a checked query string says. Of a parameter given twice the first value is used.
type query struct {
	values url.Values
	dates  map[string]date
}

func (q query) text(name string) string { return q.values.Get(name) }

// count reads a countParam; one that is too large for any list is the largest there is.
func (q query) count(name string, otherwise int) int {
	v := q.values.Get(name)
	if v == "" {
		return otherwise
	}
	n, _ := new(big.Int).SetString(strings.TrimSpace(v), 10)
	if n == nil {
		return otherwise
	}
	if !n.IsInt64() || n.Int64() > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(n.Int64())
}

func (q query) bool(name string) bool { return strings.EqualFold(q.values.Get(name), "true") }

// parseQuery reads a query string as forgiving as upstream's framework: what is no escape stays as it is, and
// bytes that are not UTF-8 become U+FFFD.
func parseQuery(raw string) url.Values {
	values := url.Values{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name = unescape(name)
		values[name] = append(values[name], unescape(value))
	}
	return values
}

func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
			b.WriteByte('%')
		default:
			b.WriteByte(s[i])
		}
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

// checkQuery checks a query string: unknown parameters, then each declared one in order.
func checkQuery(values url.Values, params []param) (query, error) {
	var unknown []string
	for name := range values {
		if !slices.ContainsFunc(params, func(p param) bool { return p.name == name }) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return query{}, badRequest("Extra query parameter(s) %s not in spec", strings.Join(unknown, ", "))
	}
	q := query{values: values, dates: map[string]date{}}
	var odd []string
	for _, p := range params {
		given := values[p.name]
		if len(given) == 0 {
			if p.required {
				return q, badRequest("Missing query parameter '%s'", p.name)
			}
			continue
		}
		first, last := given[0], given[len(given)-1]
		if err := p.check(last); err != nil {
			return q, err
		}
		if !p.many && first != last {
			if err := p.checkFirst(first); err != nil {
				return q, err
			}
		}
		if p.kind == dateParam {
			d, ok := parseDate(first)
			if !ok {
				odd = append(odd, p.name)
			}
			q.dates[p.name] = d
		}
	}
	if len(odd) > 0 {
		return q, &dateError{odd}
	}
	return q, nil
}

var integerPattern = regexp.MustCompile(`^\s*[+-]?[0-9]+\s*$`)

func (p param) check(v string) error {
	switch p.kind {
	case countParam:
		if !integerPattern.MatchString(v) {
			return badRequest("Wrong type, expected 'integer' for query parameter '%s'", p.name)
		}
		n, _ := new(big.Int).SetString(strings.TrimSpace(v), 10)
		if n.Sign() <= 0 {
			return badRequest("%s is less than the minimum of 1", n)
		}
		return nil
	case boolParam:
		if !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") {
			return badRequest("Wrong type, expected 'boolean' for query parameter '%s'", p.name)
		}
		return nil
	case dateParam:
		if !isISO(v) {
			return badRequest("%s is not a valid datetime(ISO 8601 format).", pyrepr.String(v))
		}
		return nil
	case namedEnumParam:
		if !slices.Contains(p.schema.Enum, v) {
			return badRequest("Wrong value %s for query parameter '%s', expected one of: %s", pyrepr.String(v), p.name, strings.Join(p.schema.Enum, ", "))
		}
		return nil
	}
	return p.schema.Check(v)
}

// checkFirst checks the value that is used when another one was validated. A state has words of its own.
func (p param) checkFirst(v string) error {
	if p.name == "state" && v != "" && !slices.Contains(request.States, v) {
		sorted := slices.Clone(request.States)
		slices.Sort(sorted)
		return badRequest("%s is not a valid request state. Valid states are: %s", v, strings.Join(sorted, ", "))
	}
	return p.check(v)
}

// date is a moment, or a whole day.
type date struct {
	time time.Time
	day  bool
}

// from is the moment as a lower bound, to as an upper one (inclusive).
func (d date) from() time.Time { return d.time }

func (d date) to() time.Time {
	if d.day {
		return d.time.Add(24*time.Hour - time.Microsecond)
	}
	return d.time
}

var (
	datePattern = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}|\d{8})$`)
	timePattern = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?(\.\d+)?(Z|[+-]\d{2}(?::?\d{2})?)?$`)
	// oddPattern are forms of ISO 8601 that are recognised, and refused with a text of their own.
	oddPattern = regexp.MustCompile(`^(?:(\d{4})|(\d{4}-\d{2})|\d{4}-?W(\d{2})(?:-?[1-7])?|(\d{4}-?\d{2}-?\d{2}))` +
		`(?:[T ](\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,]\d+)?)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?$`)
)

// parseDate reads the forms that are accepted; without an offset it is UTC.
func parseDate(v string) (date, bool) {
	if datePattern.MatchString(v) {
		t, err := time.Parse("20060102", strings.ReplaceAll(v, "-", ""))
		return date{t, true}, err == nil
	}
	m := timePattern.FindStringSubmatch(v)
	if m == nil || m[4] != "" && m[3] == "" {
		return date{}, false
	}
	seconds, zone := m[3], m[5]
	if seconds == "" {
		seconds = ":00"
	}
	switch digits := strings.ReplaceAll(zone, ":", ""); {
	case zone == "" || zone == "Z":
		zone = "+0000"
	case len(digits) == 3:
		zone = digits + "00"
	default:
		zone = digits
	}
	t, err := time.Parse("2006-01-02T15:04:05-0700", m[1]+"T"+m[2]+seconds+zone)
	if err != nil {
		return date{}, false
	}
	if m[4] != "" {
		fraction, _ := time.ParseDuration("0" + m[4] + "s")
		t = t.Add(fraction.Truncate(time.Microsecond))
	}
	return date{t.UTC(), false}, true
}

// isISO reports whether v is some form of ISO 8601, and possible.
func isISO(v string) bool {
	if datePattern.MatchString(v) || timePattern.MatchString(v) {
		_, ok := parseDate(v)
		return ok
	}
	m := oddPattern.FindStringSubmatch(v)
	if m == nil {
		return false
	}
	year, month, week, day := m[1], m[2], m[3], m[4]
	var err error
	switch {
	case year != "":
	case month != "":
		_, err = time.Parse("2006-01", month)
	case week != "":
		return "01" <= week && week <= "53" && m[5] <= "23" && m[6] <= "59" && m[7] <= "59"
	default:
		_, err = time.Parse("20060102", strings.ReplaceAll(day, "-", ""))
	}
	return err == nil && m[5] <= "23" && m[6] <= "59" && m[7] <= "59"
}
