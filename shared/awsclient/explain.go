package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/cachito-serverless/cachito/shared/fault"
)

// Resource is what the calls of an adapter are about: a table, a bucket, queues.
type Resource struct {
	// Name says which it is, by the input of a call: "bucket cachito-prod".
	Name func(input any) string
	// Settings name the resource: "CACHITO_BUCKET".
	Settings string
	// Busy is the port's error for what may succeed when it is tried again soon.
	Busy error
	// Type and Sentence are the fault that users are told of.
	Type     fault.Type
	Sentence string
}

// TroubleError is a call that AWS refused or did not answer, for a reason that somebody has to look into. Its text
// is for operators: the resource, what AWS said, and what to do. It holds a fault with the resource's sentence for
// users, and the port's error when trying again may help.
type TroubleError struct {
	Resource string
	Advice   string
	held     []error
}

func (e *TroubleError) Error() string {
	return fmt.Sprintf("%s: %v: %s", e.Resource, e.held[0], e.Advice)
}

// Unwrap gives what AWS said, the fault, and the port's error.
func (e *TroubleError) Unwrap() []error { return e.held }

// Explain is an option of a client (APIOptions): calls that fail for a reason that somebody has to look into
// fail with a *TroubleError.
func Explain(r Resource) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("ExplainTrouble",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, metadata, err := next.HandleInitialize(ctx, in)
				if err != nil && ctx.Err() == nil {
					err = r.explain(in.Parameters, err)
				}
				return out, metadata, err
			}), middleware.Before)
	}
}

func (r Resource) explain(input any, err error) error {
	what := troubleOf(err)
	if what == noTrouble {
		return err
	}
	f := fault.Server(r.Type, "%s", r.Sentence)
	e := &TroubleError{Resource: r.Name(input), Advice: advice[what], held: []error{err, f}}
	switch what {
	case throttled, unreachable, failing:
		e.held = append(e.held, r.Busy)
	case missing:
		e.Advice = fmt.Sprintf(e.Advice, r.Settings)
	}
	return e
}

// Kinds of trouble.
const (
	noTrouble = iota
	denied
	unidentified
	missing
	throttled
	full
	failing
	unreachable
)

var advice = map[int]string{
	denied:       "the role of this function may not do that; compare its policy with template.yaml (and the key's, where KMS encrypts)",
	unidentified: "the credentials are not valid or have expired; look at the role of this function, or at AWS_ACCESS_KEY_ID and its kin",
	missing:      "it is not there; is the stack deployed, in the account and region of this function, and is it what %s names?",
	throttled:    "AWS limits the calls, which passes; if it does not, raise the quota or lower the concurrency of the functions",
	full:         "SQS holds no more delivered messages of one queue (120,000); look at what its function does with them",
	failing:      "AWS is in trouble, which passes; if it does not, look at the AWS Health Dashboard",
	unreachable:  "it does not answer; look at the network of this function (VPC, endpoints, DNS) and at AWS_ENDPOINT_URL",
}

// codes are the names that DynamoDB, SQS, S3 and KMS behind them have for trouble.
var codes = map[string]int{
	"AccessDenied": denied, "AccessDeniedException": denied, "Forbidden": denied, "AllAccessDisabled": denied,
	"KMSAccessDeniedException": denied, "KmsAccessDenied": denied, "KmsDisabled": denied, "KmsNotFound": denied, "KMS.DisabledException": denied,
	"AWS.SimpleQueueService.AccessDenied": denied,

	"ExpiredToken": unidentified, "ExpiredTokenException": unidentified, "InvalidToken": unidentified,
	"InvalidAccessKeyId": unidentified, "InvalidClientTokenId": unidentified, "UnrecognizedClientException": unidentified,
	"SignatureDoesNotMatch": unidentified, "InvalidSignatureException": unidentified, "MissingAuthenticationToken": unidentified,
	"RequestTimeTooSkewed": unidentified,

	"ResourceNotFoundException": missing, "NoSuchBucket": missing,
	"QueueDoesNotExist": missing, "AWS.SimpleQueueService.NonExistentQueue": missing, "AWS.SimpleQueueService.QueueDeletedRecently": missing,

	"ProvisionedThroughputExceededException": throttled, "ProvisionedThroughputExceeded": throttled, "ThrottlingException": throttled,
	"Throttling": throttled, "RequestThrottled": throttled, "RequestLimitExceeded": throttled, "SlowDown": throttled, "TooManyRequestsException": throttled,
	"KmsThrottled": throttled,

	"OverLimit": full, "AWS.SimpleQueueService.OverLimit": full,

	"InternalServerError": failing, "InternalError": failing, "InternalFailure": failing, "ServiceUnavailable": failing, "503": failing,
}

// troubleOf is the kind of trouble that the error of a call is; an answer that callers expect (no such key, a
// condition that does not hold) is none.
func troubleOf(err error) int {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		if kind, ok := codes[answer.ErrorCode()]; ok {
			return kind
		}
		var res *smithyhttp.ResponseError
		if errors.As(err, &res) && res.HTTPStatusCode() >= http.StatusInternalServerError {
			return failing
		}
		return noTrouble
	}
	var network net.Error
	var op *net.OpError
	if errors.As(err, &network) || errors.As(err, &op) {
		return unreachable
	}
	return noTrouble
}
