package generic

import (
	"fmt"
	"regexp"
	"strings"
)

// coordinates of an artifact in a Maven repository.
type coordinates struct {
	repository                                 string // without "/" at its end
	group, artifact, version, classifier, kind string
}

// coordinate is what an element may be: it becomes a part of a URL's path.
var coordinate = regexp.MustCompile(`^[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*$`)

func (a *attributes) coordinates() (*coordinates, error) {
	c := &coordinates{
		repository: strings.TrimRight(a.Repository, "/"), group: a.Group, artifact: a.Artifact, version: a.Version, classifier: a.Classifier, kind: "jar",
	}
	if a.Type != nil {
		c.kind = *a.Type
	}
	u, err := checkURL(c.repository)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("'attributes.repository_url' must be an http or https URL without user info, query and fragment")
	}
	for _, one := range []struct{ key, value string }{
		{"group_id", c.group}, {"artifact_id", c.artifact}, {"version", c.version}, {"classifier", c.classifier}, {"type", c.kind},
	} {
		if !coordinate.MatchString(one.value) && (one.key != "classifier" || one.value != "") {
			return nil, fmt.Errorf("'attributes.%s' is missing or has characters that Maven does not allow: %.100q", one.key, one.value)
		}
	}
	return c, nil
}

// jars are the types whose files end in .jar
// (https://maven.apache.org/ref/current/maven-core/artifact-handlers.html).
var jars = map[string]bool{"maven-plugin": true, "ejb": true, "ejb-client": true, "javadoc": true, "java-source": true, "test-jar": true}

// path of the file in the repository: org/apache/ant/ant/1.10.14/ant-1.10.14-sources.jar.
func (c *coordinates) path() string {
	extension, classifier := c.kind, ""
	if jars[c.kind] {
		extension = "jar"
	}
	if c.classifier != "" {
		classifier = "-" + c.classifier
	}
	return strings.ReplaceAll(c.group, ".", "/") + "/" + c.artifact + "/" + c.version + "/" + c.artifact + "-" + c.version + classifier + "." + extension
}
