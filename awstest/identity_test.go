package awstest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// testIdentity: the stack is deployed with Authorization=AWS_IAM, as by default.
func testIdentity(t *testing.T, s *stack, w *world) {
	me, err := sts.NewFromConfig(s.aws).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	// It fails at once, at a commit that is not there.
	order := fmt.Sprintf(`{"repo": %q, "ref": "adbc8813901bba65827259daa8e22ff94ec1f30e"}`, w.git.URL("app"))
	for _, test := range []struct {
		name, method, route, body string
		signed                    bool
		want                      int
	}{
		{"nobody reads", http.MethodGet, "/requests", "", false, http.StatusForbidden},
		{"nobody orders", http.MethodPost, "/requests", order, false, http.StatusForbidden},
		{"nobody changes", http.MethodPatch, "/requests/1", `{"state": "stale"}`, false, http.StatusForbidden},
		{"somebody reads", http.MethodGet, "/requests", "", true, http.StatusOK},
		{"somebody orders", http.MethodPost, "/requests", order, true, http.StatusCreated},
		{"somebody who is no worker changes", http.MethodPatch, "/requests/1", `{"state": "stale", "state_reason": "x"}`, true, http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), test.method, s.outputs["ApiUrl"]+"/api/v1"+test.route, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			caller := s.plain
			if test.signed {
				caller = s.http
			}
			resp, err := caller.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.want {
				t.Fatalf("got %s, want %d\n%s", resp.Status, test.want, body)
			}
			// The gateway refuses nobody itself; who is known is refused by the API, in its own words.
			if ours := bytes.Contains(body, []byte(`"error":`)); test.want == http.StatusForbidden && ours != test.signed {
				t.Errorf("who refused? %s", body)
			}
			if test.want != http.StatusCreated {
				return
			}
			var made struct{ User string }
			if err := json.Unmarshal(body, &made); err != nil {
				t.Fatal(err)
			}
			if made.User != *me.Arn {
				t.Errorf("the request is of user %q, want %q", made.User, *me.Arn)
			}
		})
	}
}
