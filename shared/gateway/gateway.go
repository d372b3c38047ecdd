// Package gateway tells who calls from what API Gateway has verified. It reads the event's request context
// alone: that is the gateway's own word, while headers, cookies and the body are the client's, whatever
// they say. The gateway must be set up so that callers without credentials may read but not write (an
// authorizer on the POST and PATCH routes); who is who without one is nobody.
//
// It is the only package besides functions/ and logging that knows Lambda's events, and it does no I/O. With
// aws-lambda-go-api-proxy, take the context with core.GetAPIGatewayV2ContextFromContext(r.Context()): the
// functions of that module that read it from a request's headers believe the client.
package gateway

import "github.com/aws/aws-lambda-go/events"

// HTTPUser is the caller of an HTTP API (payload format 2.0): the claim of a verified JWT, else the ARN of an
// IAM principal, else the subject of a verified client certificate, spelled as the gateway spells it; ""
// for nobody. With a JWT that lacks the claim the caller is nobody, too: falling back to another kind would
// give one person two names.
//
// The ARN of an assumed role ends in a session name that whoever assumes the role chooses
// ("arn:aws:sts::111122223333:assumed-role/builder/tbrady"): it tells callers apart only where the role's
// trust policy demands a session name (sts:RoleSessionName).
func HTTPUser(c events.APIGatewayV2HTTPRequestContext, claim string) string {
	if a := c.Authorizer; a != nil {
		switch {
		case a.JWT != nil:
			return a.JWT.Claims[claim]
		case a.IAM != nil && a.IAM.UserARN != "":
			return a.IAM.UserARN
		}
	}
	return c.Authentication.ClientCert.SubjectDN
}

// RESTUser is the caller of a REST API (payload format 1.0), by the same rules. Its JWTs are those of a Cognito
// authorizer.
func RESTUser(c events.APIGatewayProxyRequestContext, claim string) string {
	if claims, ok := c.Authorizer["claims"].(map[string]any); ok {
		user, _ := claims[claim].(string)
		return user
	}
	if c.Identity.UserArn != "" {
		return c.Identity.UserArn
	}
	if c.Identity.ClientCert != nil {
		return c.Identity.ClientCert.SubjectDN
	}
	return ""
}
