package stack_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// section is what stands below a heading of docs/operations.md, up to the next one of the same rank.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(readFile(t, "docs/operations.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/operations.md has no section %q", heading)
	}
	part, _, _ := strings.Cut(rest, "\n## ")
	return part
}

// TestEveryAlarmHasASection: each alarm's description names the section that tells what to do, and each section
// belongs to an alarm.
func TestEveryAlarmHasASection(t *testing.T) {
	want := map[string]bool{}
	for id, alarm := range readTemplate(t).of("AWS::CloudWatch::Alarm") {
		m := regexp.MustCompile(`See docs/operations\.md, (\w+)\.$`).FindStringSubmatch(text(alarm.properties["AlarmDescription"]))
		if m == nil || !strings.HasSuffix(id, m[1]) {
			t.Errorf("%s: its description does not end in \"See docs/operations.md, <section>.\" with the end of its name: %q", id, alarm.properties["AlarmDescription"])
			continue
		}
		want[m[1]] = true
		if alarm.condition != "HasAlarms" || alarm.properties["AlarmActions"] == nil {
			t.Errorf("%s tells nobody, or is there without a topic", id)
		}
	}
	got := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$\n\n(.)`).FindAllStringSubmatch(section(t, "Alarms"), -1) {
		got[m[1]] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("sections about alarms (-template.yaml +docs/operations.md):\n%s", diff)
	}
}

// What must be watched: the letters, each queue's age, each function's errors and throttles, the gateway.
func TestEverythingIsWatched(t *testing.T) {
	tpl := readTemplate(t)
	got := map[string]bool{}
	for _, a := range tpl.of("AWS::CloudWatch::Alarm") {
		for _, d := range list(a.properties["Dimensions"]) {
			got[text(a.properties["MetricName"])+" "+strings.TrimSuffix(named(object(d)["Value"]), ".QueueName")] = true
		}
	}
	want := map[string]bool{"5xx Api": true, "ApproximateNumberOfMessagesVisible DeadLetterQueue": true}
	for id := range tpl.of("AWS::Serverless::Function") {
		want["Errors "+id], want["Throttles "+id] = true, true
	}
	for id := range tpl.of("AWS::SQS::Queue") {
		if id != "DeadLetterQueue" {
			want["ApproximateAgeOfOldestMessage "+id] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("alarms by metric (-wanted +template.yaml):\n%s", diff)
	}
}

func TestEveryParameterIsExplained(t *testing.T) {
	var got []string
	for line := range strings.Lines(section(t, "Parameters")) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[1], -1) {
				got = append(got, m[1])
			}
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(readTemplate(t).parameters)), got); diff != "" {
		t.Errorf("parameters (-template.yaml +docs/operations.md):\n%s", diff)
	}
}
