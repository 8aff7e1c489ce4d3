// Render fills a template with the environment and writes the result to a file: what init containers are for.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: render TEMPLATE FILE")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
}

func render(source, target string) error {
	functions := template.FuncMap{"env": lookup, "upper": strings.ToUpper, "lower": strings.ToLower}
	parsed, err := template.New(filepath.Base(source)).Funcs(functions).ParseFiles(source)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := parsed.Execute(&text, nil); err != nil {
		return err
	}
	if err := os.WriteFile(target, []byte(text.String()), 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes from %s\n", target, text.Len(), source)
	return nil
}

// What is not set is a mistake, not an empty word.
func lookup(name string) (string, error) {
	value, found := os.LookupEnv(name)
	if !found {
		return "", fmt.Errorf("%s is not set", name)
	}
	return value, nil
}
