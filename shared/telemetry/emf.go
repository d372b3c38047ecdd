package telemetry

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxEMFValues is how many values one metric of a line may have (CloudWatch's limit).
const maxEMFValues = 100

// Flush writes what was counted since the last Flush as CloudWatch's embedded metric format
// (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html):
// a line of JSON for each set of labels, all in one write. Counters are written as what was added since,
// gauges as they are now (unless they stay 0), histograms as their values. Metrics without a writer for EMF, or nil: nothing is
// done.
func (m *Metrics) Flush() error {
	if m == nil || m.settings.EMF == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := map[string]*emfLine{}
	for _, d := range Definitions() {
		for _, s := range m.series[d] {
			if !s.changed {
				continue
			}
			key := strings.Join(d.Labels, labelSeparator) + labelSeparator + strings.Join(s.labels, labelSeparator)
			if lines[key] == nil {
				lines[key] = &emfLine{names: d.Labels, values: s.labels}
			}
			lines[key].add(d, s)
		}
	}
	var text []byte
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		line, err := lines[key].print(m.settings.Namespace, m.settings.Clock().UnixMilli())
		if err != nil {
			return fmt.Errorf("writing metrics: %w", err)
		}
		text = append(append(text, line...), '\n')
	}
	if len(text) == 0 {
		return nil
	}
	if _, err := m.settings.EMF.Write(text); err != nil {
		return fmt.Errorf("writing metrics: %w", err)
	}
	return nil
}

// flushSeries writes a histogram whose values fill a line, under m.mu. Trouble with the writer shows at the
// next Flush.
func (m *Metrics) flushSeries(d *Definition, s *series) {
	line := &emfLine{names: d.Labels, values: s.labels}
	line.add(d, s)
	if text, err := line.print(m.settings.Namespace, m.settings.Clock().UnixMilli()); err == nil {
		_, _ = m.settings.EMF.Write(append(text, '\n'))
	}
}

// emfLine holds the metrics of one set of labels.
type emfLine struct {
	names, values []string
	metrics       []emfMetric
	numbers       map[string]any
}

type emfMetric struct {
	Name string
	Unit Unit
}

// add moves what a series has pending into the line.
func (l *emfLine) add(d *Definition, s *series) {
	l.metrics = append(l.metrics, emfMetric{d.Name, d.Unit})
	if l.numbers == nil {
		l.numbers = map[string]any{}
	}
	if d.Type == Histogram {
		l.numbers[d.Name] = s.values
	} else {
		l.numbers[d.Name] = s.pending
	}
	s.changed, s.pending, s.values = false, 0, nil
}

func (l *emfLine) print(namespace string, milliseconds int64) ([]byte, error) {
	names := l.names
	if names == nil {
		names = []string{} // no dimension is an empty list, not null
	}
	line := map[string]any{"_aws": map[string]any{
		"Timestamp": milliseconds,
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": namespace, "Dimensions": [][]string{names}, "Metrics": l.metrics,
		}},
	}}
	for i, name := range l.names {
		line[name] = l.values[i]
		if l.values[i] == "" { // CloudWatch refuses empty ones
			line[name] = Other
		}
	}
	for name, n := range l.numbers {
		if line[name] != nil {
			return nil, errors.New("label and metric have the same name: " + name)
		}
		line[name] = n
	}
	return json.Marshal(line)
}
