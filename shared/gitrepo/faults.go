package gitrepo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/cachito-serverless/cachito/shared/fault"
	"github.com/cachito-serverless/cachito/shared/fetch"
)

// Upstream's sentences, word for word; the reason goes to the log as the fault's cause.
const (
	textClone     = "Failed cloning the Git repository"
	textFetch     = "Failed to fetch from the remote Git repository"
	textSubmodule = "Updating the Git submodule(s) failed"
)

// accessFault says whose trouble it is that a repository cannot be read. reused: it is in the cache,
// and only something new could not be fetched.
func accessFault(err error, u remoteURL, reused bool) error {
	var f *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f), errors.Is(err, context.Canceled):
		return err
	}
	var refused *fetch.RefusedError
	if errors.As(err, &refused) {
		return fault.Client(fault.RepositoryAccessError, "The repository URL %s is refused: %s", u.public(), refused.Reason).Because(err)
	}
	text := textClone
	if reused {
		text = textFetch
	}
	if clientsTrouble(err) {
		return fault.Client(fault.RepositoryAccessError, "%s", text).Because(err)
	}
	return fault.Server(fault.RepositoryAccessError, "%s", text).Because(err)
}

// clientsTrouble: the host or repository does not exist, or may not be read.
func clientsTrouble(err error) bool {
	var status *fetch.StatusError
	if errors.As(err, &status) {
		switch status.Code {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
			return true
		}
		return false
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsNotFound
	}
	var notGit *notGitError
	if errors.As(err, &notGit) {
		return true
	}
	var remote *remoteError
	if errors.As(err, &remote) {
		m := strings.ToLower(remote.message)
		return strings.Contains(m, "not found") || strings.Contains(m, "not exported") || strings.Contains(m, "does not exist") ||
			strings.Contains(m, "access denied") || strings.Contains(m, "not appear to be a git repository")
	}
	return false
}
