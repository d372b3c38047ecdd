package stack_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cachito-serverless/cachito/shared/api"
	"github.com/cachito-serverless/cachito/shared/blob/s3"
)

// permissions are the actions that a call of AWS's SDK needs.
var permissions = map[string][]string{
	"dynamodb.GetItem":            {"dynamodb:GetItem"},
	"dynamodb.BatchGetItem":       {"dynamodb:BatchGetItem"},
	"dynamodb.Query":              {"dynamodb:Query"},
	"dynamodb.PutItem":            {"dynamodb:PutItem"},
	"dynamodb.UpdateItem":         {"dynamodb:UpdateItem"},
	"dynamodb.DeleteItem":         {"dynamodb:DeleteItem"},
	"dynamodb.TransactWriteItems": {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"},

	"s3.GetObject": {"s3:GetObject"},
	// Without the right to list, a missing object would be answered with 403.
	"s3.HeadObject":              {"s3:GetObject", "s3:ListBucket"},
	"s3.ListObjectsV2":           {"s3:ListBucket"},
	"s3.PutObject":               {"s3:PutObject"},
	"s3.CreateMultipartUpload":   {"s3:PutObject"},
	"s3.UploadPart":              {"s3:PutObject"},
	"s3.UploadPartCopy":          {"s3:PutObject", "s3:GetObject"},
	"s3.CompleteMultipartUpload": {"s3:PutObject"},
	"s3.AbortMultipartUpload":    {"s3:AbortMultipartUpload"},
	"s3.ListMultipartUploads":    {"s3:ListBucketMultipartUploads"},
	"s3.DeleteObject":            {"s3:DeleteObject"},
	"s3.DeleteObjects":           {"s3:DeleteObject"},

	"sqs.GetQueueUrl":             {"sqs:GetQueueUrl"},
	"sqs.GetQueueAttributes":      {"sqs:GetQueueAttributes"},
	"sqs.SendMessage":             {"sqs:SendMessage"},
	"sqs.ReceiveMessage":          {"sqs:ReceiveMessage"},
	"sqs.ChangeMessageVisibility": {"sqs:ChangeMessageVisibility"},
	"sqs.DeleteMessage":           {"sqs:DeleteMessage"},

	"cloudwatch.GetMetricStatistics": {"cloudwatch:GetMetricStatistics"},
	"secretsmanager.GetSecretValue":  {"secretsmanager:GetSecretValue"},

	// Of Lambda itself, for the functions' logs.
	"logs.PutLogEvents": {"logs:CreateLogStream", "logs:PutLogEvents"},
}

// notInProduction are calls that tests and emulators alone make.
var notInProduction = []string{"dynamodb.CreateTable"}

// calls finds what the product's adapters call: methods of something whose name ends in "client" or "metrics",
// with an argument of the SDK's type <Method>Input.
func calls(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{"logs.PutLogEvents": true}
	for _, folder := range []string{"store/dynamodb", "blob/s3", "queue/sqs", "wiring/onaws"} {
		err := filepath.WalkDir(filepath.Join(root, "shared", folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			services := map[string]string{} // the name of an import in this file, its service
			for _, i := range file.Imports {
				_, service, ok := strings.Cut(strings.Trim(i.Path.Value, `"`), "aws-sdk-go-v2/service/")
				if !ok || strings.Contains(service, "/") {
					continue
				}
				name := service
				if i.Name != nil {
					name = i.Name.Name
				}
				services[name] = service
			}
			ast.Inspect(file, func(n ast.Node) bool {
				literal, ok := n.(*ast.CompositeLit)
				if !ok {
					return true
				}
				if s, ok := literal.Type.(*ast.SelectorExpr); ok {
					pkg, _ := s.X.(*ast.Ident)
					if method, ok := strings.CutSuffix(s.Sel.Name, "Input"); ok && pkg != nil && services[pkg.Name] != "" {
						found[services[pkg.Name]+"."+method] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range notInProduction {
		delete(found, c)
	}
	delete(found, "dynamodb.DescribeTable") // CreateTables waits with it
	return found
}

// statements gives what a policy document allows, conditional statements included.
func statements(document value) []map[string]value {
	var all []map[string]value
	for _, s := range list(object(document)["Statement"]) {
		if branches := list(object(s)["If"]); branches != nil {
			s = branches[1]
		}
		all = append(all, object(s))
	}
	return all
}

func actionsOf(statement map[string]value) []string {
	if one := text(statement["Action"]); one != "" {
		return []string{one}
	}
	var all []string
	for _, a := range list(statement["Action"]) {
		all = append(all, text(a))
	}
	return all
}

// granted are the actions of all roles and policies, with who grants them.
func (tpl cloudFormation) granted(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	grant := func(by string, document value) {
		for _, s := range statements(document) {
			if text(s["Effect"]) != "Allow" {
				t.Errorf("%s: an effect that is not Allow: %v", by, s)
			}
			for _, a := range actionsOf(s) {
				all[a] = append(all[a], by)
				if named(s["Resource"]) == "*" && a != "cloudwatch:GetMetricStatistics" {
					t.Errorf("%s allows %s on everything", by, a)
				}
			}
		}
	}
	for id, p := range tpl.of("AWS::IAM::ManagedPolicy") {
		grant(id, p.properties["PolicyDocument"])
	}
	for id, r := range tpl.of("AWS::IAM::Role") {
		for _, p := range list(r.properties["Policies"]) {
			grant(id, object(p)["PolicyDocument"])
		}
	}
	return all
}

// TestActionsAreThoseThatAreUsed: what the adapters call is allowed, and nothing else is.
func TestActionsAreThoseThatAreUsed(t *testing.T) {
	want := map[string]bool{}
	for call := range calls(t) {
		actions, ok := permissions[call]
		if !ok {
			t.Errorf("%s: which actions does this call need? Add it to permissions, and them to template.yaml", call)
		}
		for _, a := range actions {
			want[a] = true
		}
	}
	if len(want) < 15 {
		t.Fatalf("found only %d actions in the adapters: the search is broken", len(want))
	}
	granted := readTemplate(t).granted(t)
	got := slices.Sorted(maps.Keys(granted))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), got); diff != "" {
		t.Errorf("actions (-used by the adapters +allowed by template.yaml):\n%s", diff)
	}
}

// TestEachFunctionHasItsOwnRole: with its own logs and, if it has one, its own queue.
func TestEachFunctionHasItsOwnRole(t *testing.T) {
	tpl := readTemplate(t)
	roles := map[string]string{}
	for id, f := range tpl.of("AWS::Serverless::Function") {
		name := strings.TrimSuffix(id, "Function")
		role, ok := strings.CutSuffix(named(f.properties["Role"]), ".Arn")
		if !ok || role != name+"Role" {
			t.Errorf("%s: role: got %s, want %sRole.Arn", id, role, name)
			continue
		}
		if other := roles[role]; other != "" {
			t.Errorf("%s and %s share %s", id, other, role)
		}
		roles[role] = id
		if got, want := named(object(f.properties["LoggingConfig"])["LogGroup"]), name+"Logs"; got != want {
			t.Errorf("%s: log group: got %s, want %s", id, got, want)
		}
		logs := tpl.resources[name+"Logs"].properties
		if got, want := named(logs["LogGroupName"]), "/aws/lambda/"+named(f.properties["FunctionName"]); got != want {
			t.Errorf("%s: log group's name: got %s, want %s", id, got, want)
		}
		if logs["RetentionInDays"] == nil {
			t.Errorf("%s: logs are kept for ever", id)
		}
		may := map[string]string{}
		for _, p := range list(tpl.resources[role].properties["Policies"]) {
			for _, s := range statements(object(p)["PolicyDocument"]) {
				for _, a := range actionsOf(s) {
					may[a] += " " + named(s["Resource"])
				}
			}
		}
		if got, want := may["logs:PutLogEvents"], " "+name+"Logs.Arn"; got != want {
			t.Errorf("%s may write logs to%s, want%s", id, got, want)
		}
		want := ""
		switch {
		case name == "Reaper":
			want = " DeadLetterQueue.Arn"
		case name != "Api":
			want = " " + name + "Queue.Arn"
		}
		if got := may["sqs:ReceiveMessage"]; got != want {
			t.Errorf("%s may receive from%s, want%s", id, got, want)
		}
		if name != "Api" && may["sqs:DeleteMessage"] != want {
			t.Errorf("%s may delete messages of%s, want%s", id, may["sqs:DeleteMessage"], want)
		}
	}
	for id := range tpl.of("AWS::IAM::Role") {
		if roles[id] == "" {
			t.Errorf("%s is no function's role", id)
		}
	}
}

func TestBucketIsClosed(t *testing.T) {
	p := readTemplate(t).resources["Bucket"].properties
	for _, name := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		if text(object(p["PublicAccessBlockConfiguration"])[name]) != "true" {
			t.Errorf("%s is not true", name)
		}
	}
	if p["BucketEncryption"] == nil {
		t.Error("the bucket is not encrypted")
	}
}

// The rules that the adapter counts on, and none that would take away what is still referred to.
func TestBucketRules(t *testing.T) {
	got := map[string]string{}
	for _, r := range list(object(readTemplate(t).resources["Bucket"].properties["LifecycleConfiguration"])["Rules"]) {
		rule := object(r)
		got[text(rule["Prefix"])] = text(rule["ExpirationInDays"]) + text(object(rule["AbortIncompleteMultipartUpload"])["DaysAfterInitiation"])
	}
	if diff := cmp.Diff(map[string]string{"": "1", s3.TemporaryPrefix: "1"}, got); diff != "" {
		t.Errorf("days by prefix (-want +got):\n%s", diff)
	}
}

// TestKeysMayBeWritten: the first element of every key that the product writes is one that a role may write, and
// no role may write others.
func TestKeysMayBeWritten(t *testing.T) {
	want := map[string]bool{"_cachito": true, strings.TrimSuffix(api.AnswersPrefix, "/"): true, "health": true}
	keys := regexp.MustCompile(`(?m)^//\t([a-z]+)/`).FindAllStringSubmatch(readFile(t, "shared/pipeline/keys.go"), -1)
	if len(keys) < 5 {
		t.Fatalf("found only %d kinds of keys in shared/pipeline/keys.go: the search is broken", len(keys))
	}
	for _, k := range keys {
		want[k[1]] = true
	}
	got := map[string]bool{}
	tpl := readTemplate(t)
	for _, r := range tpl.of("AWS::IAM::Role") {
		for _, p := range list(r.properties["Policies"]) {
			for _, s := range statements(object(p)["PolicyDocument"]) {
				if !slices.Contains(actionsOf(s), "s3:PutObject") {
					continue
				}
				for _, resource := range list(s["Resource"]) {
					prefix, _, _ := strings.Cut(strings.TrimPrefix(named(resource), "${Bucket.Arn}/"), "/")
					got[prefix] = true
				}
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("first elements of keys (-written by the product +allowed by template.yaml):\n%s", diff)
	}
}
