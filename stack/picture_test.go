package stack_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outside are the picture's nodes that are not deployed, and the box around the steps.
var outside = []string{"client", "internet", "topic", "pipeline"}

// pictures are the Mermaid blocks of docs/design.md that begin with kind.
func pictures(t *testing.T, kind string) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?s)```mermaid\n(.*?)```").FindAllStringSubmatch(readFile(t, "docs/design.md"), -1) {
		if strings.HasPrefix(m[1], kind) {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		t.Fatalf("docs/design.md has %d pictures of kind %s, want 1", len(found), kind)
	}
	return found
}

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	label  = regexp.MustCompile(`\|[^|]*\|`)
	shape  = regexp.MustCompile(`([A-Za-z]+)\s*(?:\(\[.*?\]\)|\[\(.*?\)\]|\[\[.*?\]\]|\[/.*?/\]|\{\{.*?\}\}|>[^-]*?\]|\[.*?\])`)
	arrow  = regexp.MustCompile(`\s*(<-->|-\.->|-->|~~~)\s*`)
)

// edges are the picture's arrows as "from to", & taken apart, and its nodes.
func edges(t *testing.T) (arrows, nodes map[string]bool) {
	t.Helper()
	arrows, nodes = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(pictures(t, "flowchart")[0]) {
		line = strings.TrimSpace(line)
		switch word, _, _ := strings.Cut(line, " "); word {
		case "", "flowchart", "subgraph", "direction", "end":
			continue
		}
		line = shape.ReplaceAllString(label.ReplaceAllString(quoted.ReplaceAllString(line, ""), ""), "$1")
		parts := arrow.Split(line, -1)
		kinds := arrow.FindAllString(line, -1)
		for i, part := range parts {
			for from := range strings.SplitSeq(part, "&") {
				from = strings.TrimSpace(from)
				if !regexp.MustCompile(`^[A-Za-z]+$`).MatchString(from) {
					t.Fatalf("docs/design.md: what is %q in %q?", from, line)
				}
				nodes[from] = true
				if i+1 == len(parts) || strings.Contains(kinds[i], "~~~") {
					continue
				}
				for to := range strings.SplitSeq(parts[i+1], "&") {
					arrows[from+" "+strings.TrimSpace(to)] = true
				}
			}
		}
	}
	return arrows, nodes
}

// drawn is how the picture calls a resource: one name for those of all package managers.
func drawn(id string) string {
	for _, d := range resolvable() {
		if rest, ok := strings.CutPrefix(id, "Resolve"+managerID(d.Name)); ok && !strings.ContainsAny(rest[:1], "abcdefghijklmnopqrstuvwxyz") {
			return "Resolve" + rest
		}
	}
	return id
}

// shown are the kinds of resources that the picture has, each by its logical id or by one name for all.
var shown = map[string]string{
	"AWS::Serverless::Function":     "",
	"AWS::Serverless::LayerVersion": "",
	"AWS::SQS::Queue":               "",
	"AWS::DynamoDB::Table":          "",
	"AWS::S3::Bucket":               "",
	"AWS::ApiGatewayV2::Api":        "",
	"AWS::Logs::LogGroup":           "Logs",
	"AWS::CloudWatch::Alarm":        "Alarms",
}

// hidden are parts of what is shown.
var hidden = []string{
	"AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::S3::BucketPolicy", "AWS::Lambda::Permission",
	"AWS::ApiGatewayV2::Stage", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Authorizer",
}

func TestPictureShowsWhatIsDeployed(t *testing.T) {
	tpl := readTemplate(t)
	want := map[string]bool{}
	for id, r := range tpl.resources {
		name, ok := shown[r.kind]
		switch {
		case !ok && !slices.Contains(hidden, r.kind):
			t.Errorf("%s is a %s: decide whether the picture shows such", id, r.kind)
		case ok && name == "":
			want[drawn(id)] = true
		case ok:
			want[name] = true
		}
		for _, e := range object(r.properties["Events"]) {
			if kind := text(object(e)["Type"]); kind == "Schedule" {
				want[kind] = true
			}
		}
	}
	_, got := edges(t)
	for _, name := range outside {
		if !got[name] {
			t.Errorf("the picture has no %s", name)
		}
		delete(got, name)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("docs/design.md's picture (-template.yaml +drawn):\n%s", diff)
	}
}

// TestPictureHasTheWaysOfMessages: who receives from which queue, and who sends to which.
func TestPictureHasTheWaysOfMessages(t *testing.T) {
	tpl := readTemplate(t)
	want := map[string]bool{}
	for id, q := range tpl.of("AWS::SQS::Queue") {
		if target := named(object(q.properties["RedrivePolicy"])["deadLetterTargetArn"]); strings.HasSuffix(target, ".Arn") {
			want[drawn(id)+" "+strings.TrimSuffix(target, ".Arn")] = true
		}
	}
	for id := range tpl.of("AWS::Serverless::Function") {
		function := drawn(id)
		own := strings.TrimSuffix(function, "Function") + "Queue" // sending to itself again is not drawn
		for _, p := range list(tpl.resources[strings.TrimSuffix(id, "Function")+"Role"].properties["Policies"]) {
			for _, s := range statements(object(p)["PolicyDocument"]) {
				resources := list(s["Resource"])
				if resources == nil {
					resources = []value{s["Resource"]}
				}
				for _, r := range resources {
					queue := drawn(strings.TrimSuffix(named(r), ".Arn"))
					if strings.HasSuffix(named(r), ":stack-resolve-*") {
						queue = "ResolveQueue"
					}
					if slices.Contains(actionsOf(s), "sqs:ReceiveMessage") {
						want[queue+" "+function] = true
					}
					if slices.Contains(actionsOf(s), "sqs:SendMessage") && queue != own {
						want[function+" "+queue] = true
					}
				}
			}
		}
	}
	arrows, _ := edges(t)
	got := map[string]bool{}
	for a := range arrows {
		from, to, _ := strings.Cut(a, " ")
		if strings.HasSuffix(from, "Queue") && to != "Alarms" || strings.HasSuffix(to, "Queue") {
			got[a] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("ways of messages (-template.yaml +drawn):\n%s", diff)
	}
}

// Who takes part in a request is in the stack, and the queues on its way are.
func TestPathOfARequest(t *testing.T) {
	picture := pictures(t, "sequenceDiagram")[0]
	_, nodes := edges(t)
	participants := regexp.MustCompile(`(?m)^ *(?:participant|actor) (\w+)$`).FindAllStringSubmatch(picture, -1)
	if len(participants) < 6 {
		t.Fatalf("found only %d participants", len(participants))
	}
	for _, p := range participants {
		if !nodes[p[1]] {
			t.Errorf("%s takes part in the request, and is not in the picture of the stack", p[1])
		}
	}
	queues := readTemplate(t).of("AWS::SQS::Queue")
	for _, q := range regexp.MustCompile(`\w+Queue\b`).FindAllString(picture, -1) {
		if _, ok := queues[q]; !ok {
			t.Errorf("the request passes %s, which template.yaml does not have", q)
		}
	}
}
