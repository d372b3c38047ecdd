package web

import (
	"net/http"
	"strings"

	"github.com/cachito-serverless/cachito/shared/pyrepr"
)

// complaints are the API's sentences by the field that they are about. Its texts are Cachito's and stay as
// they are; a test sends every one of them through the API.
var complaints = []struct{ part, field string }{
	{`'repo' is a required property`, "repo"},
	{`'ref' is a required property`, "ref"},
	{`does not match '^[a-f0-9]{40}$'`, "ref"},
	{`Invalid/Inactive flag(s)`, "flags"},
	{`dependency replacement`, "replacements"},
	{`Dependency replacements are not yet supported`, "replacements"},
	{`package managers are not enabled`, "managers"},
	{`in the "packages" object do not apply`, "managers"},
	{`cannot be processed by both`, "managers"},
	{`Cannot process non-root packages with`, "managers"},
	{`Cannot set "user"`, "user"},
	{`on behalf of another user`, "user"},
}

// fieldOf is the field that an answer of the API is about; "" for none of them.
func (f *orderForm) fieldOf(status int, text string) string {
	for _, m := range f.Managers {
		if strings.Contains(text, `"packages.`+m.Name+`"`) {
			return "manager-" + m.Name
		}
	}
	for _, c := range complaints {
		if strings.Contains(text, c.part) {
			return c.field
		}
	}
	if status != http.StatusBadRequest {
		return ""
	}
	// What is too long or too short is quoted first, and not named.
	for _, field := range []struct{ name, value string }{{"ref", f.Ref}, {"repo", f.Repo}, {"user", f.User}} {
		if strings.HasPrefix(text, pyrepr.String(field.value)+" ") {
			return field.name
		}
	}
	return ""
}
