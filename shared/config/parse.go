package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// maxLifetime keeps now + lifetime far from time's own limits.
const maxLifetime = 100 * 365 * day

func text(dst *string, v string) error {
	if strings.ContainsAny(v, "\x00\r\n") {
		return errors.New("a value on one line")
	}
	*dst = v
	return nil
}

func boolean(dst *bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return errors.New("true or false")
	}
	*dst = b
	return nil
}

func number(dst *int, v string, low, high int) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return fmt.Errorf("a whole number from %d to %d", low, high)
	}
	*dst = n
	return nil
}

func oneOf(dst *string, v string, allowed ...string) error {
	for _, a := range allowed {
		if v == a {
			*dst = v
			return nil
		}
	}
	return fmt.Errorf("one of %s", strings.Join(allowed, ", "))
}

func level(dst *slog.Level, v string) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	l, ok := levels[v]
	if !ok {
		return errors.New("one of debug, info, warn, error")
	}
	*dst = l
	return nil
}

// list reads "a, b" or ["a", "b"]; "" and [] are empty.
func list(dst *[]string, v string) error {
	var items []string
	if strings.HasPrefix(strings.TrimSpace(v), "[") {
		if err := json.Unmarshal([]byte(v), &items); err != nil {
			return errors.New(`a comma list or a JSON array of strings (["a", "b"])`)
		}
	} else {
		items = strings.Split(v, ",")
	}
	*dst = nil
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			*dst = append(*dst, item)
		}
	}
	return nil
}

func pairs(dst *[][2]string, v string) error {
	refused := &Error{Got: v, Message: `All values in "CACHITO_MUTUALLY_EXCLUSIVE_PACKAGE_MANAGERS" must be pairs (2-tuples or 2-item lists)`}
	var all [][]string
	if strings.HasPrefix(strings.TrimSpace(v), "[") {
		if err := json.Unmarshal([]byte(v), &all); err != nil {
			return refused
		}
	} else {
		for item := range strings.SplitSeq(v, ",") {
			all = append(all, strings.Split(strings.TrimSpace(item), ":"))
		}
	}
	*dst = nil
	for _, p := range all {
		if len(p) != 2 || p[0] == "" || p[1] == "" {
			return refused
		}
		*dst = append(*dst, [2]string{p[0], p[1]})
	}
	return nil
}

// variables reads {"package manager": {"NAME": {"value": "...", "kind": "path" or "literal"}}}.
func variables(dst *map[string]map[string]Variable, v string) error {
	*dst = nil
	if strings.TrimSpace(v) == "" {
		return nil
	}
	refused := errors.New(`JSON such as {"gomod": {"NAME": {"value": "x", "kind": "literal"}}}, kind literal or path`)
	d := json.NewDecoder(strings.NewReader(v))
	d.DisallowUnknownFields()
	if d.Decode(dst) != nil || d.More() {
		return refused
	}
	for _, vars := range *dst {
		for name, x := range vars {
			if name == "" || x.Kind != "literal" && x.Kind != "path" {
				return refused
			}
		}
	}
	return nil
}

// byteSize reads "1048576", "800MB" (powers of 1000) and "50GiB" (powers of 1024).
func byteSize(dst *int64, v string) error {
	refused := errors.New("a size such as 50GiB, 800MB or 1048576")
	units := []struct {
		suffix string
		factor int64
	}{
		{"KiB", 1 << 10},
		{"MiB", 1 << 20},
		{"GiB", 1 << 30},
		{"TiB", 1 << 40},
		{"kB", 1e3},
		{"KB", 1e3},
		{"MB", 1e6},
		{"GB", 1e9},
		{"TB", 1e12},
		{"B", 1},
	}
	factor := int64(1)
	digits := strings.TrimSpace(v)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return refused
	}
	*dst = n * factor
	return nil
}

// byteLimit is a size above zero.
func byteLimit(dst *int64, v string) error {
	var n int64
	if err := byteSize(&n, v); err != nil || n == 0 {
		return errors.New("a size above zero such as 50GiB, 800MB or 1048576")
	}
	*dst = n
	return nil
}

func duration(dst *time.Duration, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d > maxLifetime {
		return errors.New("a time above zero such as 90s or 30m")
	}
	*dst = d
	return nil
}

// skew is a duration that clocks can be off by without something being very wrong.
func skew(dst *time.Duration, v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < time.Second || d > time.Hour {
		return errors.New("a time from 1s to 1h")
	}
	*dst = d
	return nil
}

// networks reads addresses and networks.
func networks(dst *[]netip.Prefix, v string) error {
	refused := errors.New("addresses and networks such as 192.0.2.7 or 10.0.0.0/8")
	var items []string
	if err := list(&items, v); err != nil {
		return refused
	}
	*dst = nil
	for _, item := range items {
		p, err := netip.ParsePrefix(item)
		if ip, ipErr := netip.ParseAddr(item); ipErr == nil && ip.Zone() == "" {
			p, err = ip.Unmap().Prefix(ip.Unmap().BitLen())
		}
		if err != nil {
			return refused
		}
		*dst = append(*dst, p.Masked())
	}
	return nil
}

// lifetime reads a duration; "7" and "7d" are days, as upstream counts them.
func lifetime(dst *time.Duration, v string) error {
	refused := errors.New("a time above zero such as 1d or 36h (a bare number counts days)")
	if n, err := strconv.ParseFloat(strings.TrimSuffix(v, "d"), 64); err == nil {
		// Compared before the conversion: a float outside int64 converts to anything.
		if !(n > 0 && n <= float64(maxLifetime/day)) {
			return refused
		}
		*dst = time.Duration(n * float64(day))
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 || d > maxLifetime {
		return refused
	}
	*dst = d
	return nil
}

func listenAddress(dst *string, v string) error {
	refused := errors.New("host:port with a port from 0 to 65535, for example 127.0.0.1:8080 or :8080")
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return refused
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return refused
	}
	*dst = v
	return nil
}

func httpURL(dst *string, v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("an http or https URL without user, query and fragment")
	}
	*dst = strings.TrimRight(v, "/")
	return nil
}

func proxyURL(dst *string, v string) error {
	if v == "" {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5") {
		// The value may hold a password, so the message must not repeat it.
		return &Error{Got: "(hidden)", Want: "an http, https or socks5 URL"}
	}
	*dst = v
	return nil
}

func headerName(dst *string, v string) error {
	for _, r := range v {
		ok := r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !ok {
			return errors.New("a header name such as X-Remote-User")
		}
	}
	*dst = v
	return nil
}

// headers reads OpenTelemetry's form. Values may be credentials, so no error repeats them.
func headers(dst *map[string]string, v string) error {
	refused := &Error{Got: "(hidden)", Want: "name=value pairs joined by commas, values percent-encoded"}
	*dst = nil
	if v == "" {
		return nil
	}
	all := map[string]string{}
	for pair := range strings.SplitSeq(v, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		name = strings.TrimSpace(name)
		if !ok || err != nil || name == "" || strings.ContainsAny(value, "\r\n\x00") || headerName(&name, name) != nil {
			return refused
		}
		all[name] = value
	}
	*dst = all
	return nil
}

func ratio(dst *float64, v string) error {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return errors.New("a number from 0 to 1")
	}
	*dst = n
	return nil
}

// namespace reads a namespace of CloudWatch.
func namespace(dst *string, v string) error {
	const maxBytes = 255
	for _, r := range v {
		ok := strings.ContainsRune(".-_/#: ", r) || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !ok {
			return errors.New("letters, digits, blanks and .-_/#: alone")
		}
	}
	if len(v) > maxBytes || strings.HasPrefix(v, ":") || strings.HasPrefix(v, "AWS/") || strings.TrimSpace(v) == "" {
		return fmt.Errorf("at most %d characters that do not begin with a colon or AWS/", maxBytes)
	}
	*dst = v
	return nil
}

func mirrors(dst *[]Mirror, v string) error {
	refused := errors.New(`prefix=target pairs joined by commas, or a JSON object {"prefix": "target"}`)
	*dst = nil
	if strings.HasPrefix(strings.TrimSpace(v), "{") {
		var object map[string]string
		if err := json.Unmarshal([]byte(v), &object); err != nil {
			return refused
		}
		for prefix, target := range object {
			*dst = append(*dst, Mirror{prefix, target})
		}
	} else {
		var items []string
		if err := list(&items, v); err != nil {
			return refused
		}
		for _, item := range items {
			prefix, target, ok := strings.Cut(item, "=")
			if !ok {
				return refused
			}
			*dst = append(*dst, Mirror{strings.TrimSpace(prefix), strings.TrimSpace(target)})
		}
	}
	for _, m := range *dst {
		if m.Prefix == "" || m.Target == "" {
			return refused
		}
	}
	sort.Slice(*dst, func(i, j int) bool { return (*dst)[i].Prefix < (*dst)[j].Prefix })
	return nil
}
