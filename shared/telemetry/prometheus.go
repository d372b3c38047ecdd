package telemetry

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// prometheusType is what WritePrometheus writes.
const prometheusType = "text/plain; version=0.0.4; charset=utf-8"

// Handler answers GET /metrics with every metric in Prometheus's text format.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", prometheusType)
		_ = m.WritePrometheus(w) // fails only when the client went away
	})
	return mux
}

// WritePrometheus writes every metric in Prometheus's text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Metrics without labels are there from the
// beginning, the others from their first value on.
func (m *Metrics) WritePrometheus(w io.Writer) error {
	_, err := io.WriteString(w, m.prometheus())
	return err
}

func (m *Metrics) prometheus() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, d := range Definitions() {
		if len(d.Labels) == 0 {
			m.find(d, nil)
		}
		all := m.series[d]
		if len(all) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", d.Name, helpEscaper.Replace(d.Meaning), d.Name, d.Type)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			all[key].print(&b, d)
		}
	}
	return b.String()
}

func (s *series) print(b *strings.Builder, d *Definition) {
	labels := ""
	for i, name := range d.Labels {
		labels += "," + name + `="` + labelEscaper.Replace(s.labels[i]) + `"`
	}
	whole := ""
	if labels != "" {
		whole = "{" + labels[1:] + "}"
	}
	if d.Type != Histogram {
		fmt.Fprintf(b, "%s%s %s\n", d.Name, whole, number(s.value))
		return
	}
	below := uint64(0)
	for i, n := range s.buckets {
		below += n
		bound := "+Inf"
		if i < len(d.buckets) {
			bound = number(d.buckets[i])
		}
		fmt.Fprintf(b, "%s_bucket{le=\"%s\"%s} %d\n", d.Name, bound, labels, below)
	}
	fmt.Fprintf(b, "%s_sum%s %s\n%s_count%s %d\n", d.Name, whole, number(s.sum), d.Name, whole, s.count)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

var (
	helpEscaper  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)
