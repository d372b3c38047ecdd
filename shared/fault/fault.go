// Package fault says whose fault an error is, what Cachito calls it on the wire, and what the
// person who sent the request may be told.
//
// It is made where the fault is known (fault.Client, fault.Server) and wrapped with %w on the way
// up. Only a fault's public message reaches state_reason; the wrapped chain goes to the log. An
// error that holds no fault is an unknown error: a bug, answered with a fixed sentence.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Origin is whose fault it is: error_origin on the wire.
type Origin string

// The two origins of Cachito's API.
const (
	OriginClient Origin = "client"
	OriginServer Origin = "server"
)

// Type is a fault's wire name: error_type, upstream's class name.
type Type string

// Types whose origin is the client.
const (
	ValidationError        Type = "ValidationError"
	InvalidQueryParameters Type = "InvalidQueryParameters"
	InvalidRequestData     Type = "InvalidRequestData"
	InvalidRepoStructure   Type = "InvalidRepoStructure"
	InvalidFileFormat      Type = "InvalidFileFormat"
	InvalidChecksum        Type = "InvalidChecksum"
	UnsupportedFeature     Type = "UnsupportedFeature"
)

// Types whose origin is the server, unless made with ClientAs.
const (
	FileAccessError       Type = "FileAccessError"
	FilePermissionError   Type = "FilePermissionError"
	SubprocessCallError   Type = "SubprocessCallError"
	NetworkError          Type = "NetworkError"
	DatabaseError         Type = "DatabaseError"
	MessageBrokerError    Type = "MessageBrokerError"
	RepositoryAccessError Type = "RepositoryAccessError"
	GoModError            Type = "GoModError"
	CachitoError          Type = "CachitoError"
	UnknownError          Type = "UnknownError"
)

// UnknownMessage is all that a client is told of an error nobody foresaw.
const UnknownMessage = "An unknown error occurred"

// Error is a fault. Its Error text is the public message, so it must hold no credentials, bucket
// names or paths of the worker.
type Error struct {
	Origin  Origin
	Type    Type
	Message string
	// Final is false when trying the same again may succeed (registry down, throttling).
	// Client faults are always final.
	Final bool
	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the private cause, for errors.Is and the log; nil when there is none.
func (e *Error) Unwrap() error { return e.cause }

// Because records the private cause of a fault and returns the fault.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// Client makes a fault of the client: final, told in full.
func Client(t Type, format string, args ...any) *Error {
	return &Error{Origin: OriginClient, Type: t, Message: fmt.Sprintf(format, args...), Final: true}
}

// Server makes a fault of ours or of a third party that may pass; the step is tried again.
func Server(t Type, format string, args ...any) *Error {
	return &Error{Origin: OriginServer, Type: t, Message: fmt.Sprintf(format, args...)}
}

// ServerFinal makes a fault of ours that another try cannot mend.
func ServerFinal(t Type, format string, args ...any) *Error {
	return &Error{Origin: OriginServer, Type: t, Message: fmt.Sprintf(format, args...), Final: true}
}

// From gives the fault held by err, or the unknown fault (server, may pass) with err as its cause.
// It is nil for a nil error.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var f *Error
	if errors.As(err, &f) {
		return f
	}
	return &Error{Origin: OriginServer, Type: UnknownError, Message: UnknownMessage, cause: err}
}

// IsClient reports whether err holds a fault of the client.
func IsClient(err error) bool {
	var f *Error
	return errors.As(err, &f) && f.Origin == OriginClient
}

// MayPass reports whether the same work may succeed when it is tried again. An interruption
// (context cancelled) always may.
func MayPass(err error) bool {
	if err == nil {
		return false
	}
	if errors.Is(err, context.Canceled) {
		return true
	}
	return !From(err).Final
}
