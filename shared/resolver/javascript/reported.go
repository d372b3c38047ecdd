package javascript

import "net/url"

// ReportedSource is a source as packages data and documents have it: as in the lockfile, but without user info
// that holds a password, which a lockfile should not have and nobody need learn from us.
func ReportedSource(source string) string {
	u, err := url.Parse(source)
	if err != nil || u.User == nil {
		return source
	}
	if _, secret := u.User.Password(); !secret {
		return source
	}
	u.User = nil
	return u.String()
}
