package gateway_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cachito-serverless/cachito/shared/gateway"
)

// The events in testdata are in the forms that AWS documents for payload formats 2.0 and 1.0. In each of them
// the client pretends to be root in every way that a client can: headers that proxies set, an unverified
// token, the header in which aws-lambda-go-api-proxy hands contexts on, query, cookie, body.
func TestUser(t *testing.T) {
	const (
		arn = "arn:aws:sts::111122223333:assumed-role/cachito-client/tbrady"
		dn  = "CN=tbrady,OU=serviceusers,DC=domain,DC=local"
	)
	tests := []struct {
		name, file, claim, want string
	}{
		{"JWT, default claim", "http-jwt.json", "sub", "8a7c1f2e-5f55-4bd5-a0a8-0d5a3f0c9b11"},
		{"JWT, another claim", "http-jwt.json", "email", "tbrady@example.com"},
		{"JWT without the claim", "http-jwt.json", "preferred_username", ""},
		{"IAM", "http-iam.json", "sub", arn},
		{"mTLS", "http-mtls.json", "sub", dn},
		{"no authorizer", "http-none.json", "sub", ""},
		{"a Lambda authorizer's words are no identity", "http-lambda.json", "sub", ""},
		{"REST, Cognito", "rest-cognito.json", "cognito:username", "tbrady"},
		{"REST, Cognito without the claim", "rest-cognito.json", "preferred_username", ""},
		{"REST, a claim that is no text", "rest-cognito.json", "auth_time", ""},
		{"REST, IAM", "rest-iam.json", "sub", "arn:aws:iam::111122223333:user/tbrady"},
		{"REST, mTLS", "rest-mtls.json", "sub", dn},
		{"REST, no authorizer", "rest-none.json", "sub", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join("testdata", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if tt.file[:4] == "http" {
				var event events.APIGatewayV2HTTPRequest
				decode(t, content, &event)
				if event.Headers["x-remote-user"] != "root" {
					t.Fatal("the event does not try to deceive")
				}
				got = gateway.HTTPUser(event.RequestContext, tt.claim)
			} else {
				var event events.APIGatewayProxyRequest
				decode(t, content, &event)
				if event.Headers["x-remote-user"] != "root" {
					t.Fatal("the event does not try to deceive")
				}
				got = gateway.RESTUser(event.RequestContext, tt.claim)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func decode(t *testing.T, content []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

// TestPrecedence: a principal wins over a certificate's subject, as upstream has it, and a token without the
// claim does not become the certificate's owner.
func TestPrecedence(t *testing.T) {
	cert := events.APIGatewayV2HTTPRequestContextAuthentication{ClientCert: events.APIGatewayV2HTTPRequestContextAuthenticationClientCert{SubjectDN: "CN=machine"}}
	type authorizer = events.APIGatewayV2HTTPRequestContextAuthorizerDescription
	tests := []struct {
		name       string
		authorizer *authorizer
		want       string
	}{
		{"JWT", &authorizer{JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{"sub": "ann"}}}, "ann"},
		{"JWT without the claim", &authorizer{JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{}}, ""},
		{"IAM", &authorizer{IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: "arn:x"}}, "arn:x"},
		{"nothing else", nil, "CN=machine"},
		{"an empty authorizer", &authorizer{}, "CN=machine"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := gateway.HTTPUser(events.APIGatewayV2HTTPRequestContext{Authorizer: tt.authorizer, Authentication: cert}, "sub")
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
