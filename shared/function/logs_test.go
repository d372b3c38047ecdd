package function

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cachito-serverless/cachito/shared/logging"
)

// TestLinesNameGatewayAndInvocation: what a handler logs can be found by the ids that API Gateway and Lambda
// have in their own logs.
func TestLinesNameGatewayAndInvocation(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(&out, logging.JSON, slog.LevelInfo)
	handle := API(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.InfoContext(r.Context(), "called")
		w.WriteHeader(http.StatusNoContent)
	}), log)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "c6af9ac6"})
	if _, err := handle(ctx, event("GET", "/", func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.RequestID = "JKJaXmPLvHcESHA=" })); err != nil {
		t.Fatal(err)
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"gateway_request_id": "JKJaXmPLvHcESHA=", "requestId": "c6af9ac6", "msg": "called"} {
		if line[key] != want {
			t.Errorf("%s: got %v, want %s", key, line[key], want)
		}
	}
}
