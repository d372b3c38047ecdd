package pip

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
)

// indexes are the package indexes that may be asked.
type indexes struct {
	// standard is asked for files that name none; it ends in "/".
	standard string
	// allowed hosts of others, with their port when it is not the scheme's.
	allowed []string
}

// newIndexes reads the settings index_url and allowed_indexes (a JSON array of hosts).
func newIndexes(standard, allowed string) (indexes, error) {
	x := indexes{standard: withSlash(standard)}
	u, err := url.Parse(standard)
	if err != nil || !isHTTP(u) {
		return x, fmt.Errorf("setting index_url of pip: want an http or https URL, got %q", fetch.Redact(standard))
	}
	if allowed != "" {
		if err := json.Unmarshal([]byte(allowed), &x.allowed); err != nil {
			return x, fmt.Errorf("setting allowed_indexes of pip: want a JSON array of hosts: %w", err)
		}
	}
	x.allowed = append(x.allowed, u.Host)
	return x, nil
}

func isHTTP(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" }

func withSlash(u string) string { return strings.TrimRight(u, "/") + "/" }

// accept checks the --index-url of a requirements file and returns it with "/" at its end.
func (x indexes) accept(text, file string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || !isHTTP(u):
		return "", fault.Client(fault.ValidationError, "The --index-url of %s must be an http or https URL with a host, got %s", file, withoutUserInfo(text))
	case u.User != nil:
		return "", fault.Client(fault.ValidationError, "The --index-url of %s holds user info, which does not belong into a repository; credentials are configured on the server: %s", file, withoutUserInfo(text))
	case u.RawQuery != "" || u.Fragment != "":
		return "", fault.Client(fault.ValidationError, "The --index-url of %s must have no query and no fragment, got %s", file, fetch.Redact(text))
	case !slices.ContainsFunc(x.allowed, func(host string) bool { return strings.EqualFold(host, u.Host) }):
		return "", fault.Client(fault.ValidationError, "The index %s of %s is not allowed here; allowed are the hosts %s", fetch.Redact(text), file, strings.Join(x.allowed, ", "))
	}
	return withSlash(text), nil
}
