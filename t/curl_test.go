package t

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// curlMain stands in for curl where there is none: the flags that the examples
// of APISIX's documents and ours use.
func curlMain() {
	method, url, body := "", "", ""
	header := http.Header{}
	var include, fail, hasBody bool
	args := os.Args[1:]
	for i := 0; i < len(args); i++ {
		next := func() string {
			i++
			if i < len(args) {
				return args[i]
			}
			return ""
		}
		switch a := args[i]; a {
		case "-X", "--request":
			method = next()
		case "-H", "--header":
			name, v, _ := strings.Cut(next(), ":")
			header.Set(name, strings.TrimSpace(v))
		case "-d", "--data", "--data-raw", "--data-binary":
			body, hasBody = next(), true
			if name, ok := strings.CutPrefix(body, "@"); ok {
				text, err := os.ReadFile(name)
				if err != nil {
					die(err)
				}
				body = string(text)
			}
		case "-s", "-S", "-sS", "-N", "-L", "--no-buffer":
		case "-i":
			include = true
		case "-f", "-fsS", "-sf":
			fail = true
		case "-o":
			next()
		default:
			if strings.HasPrefix(a, "-") {
				die(fmt.Errorf("this curl does not know %s", a))
			}
			url = a
		}
	}
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	var in io.Reader
	if hasBody {
		in = strings.NewReader(body)
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if method == "" {
			method = "POST"
		}
	}
	req, err := http.NewRequest(method, url, in)
	if err != nil {
		die(err)
	}
	req.Header, req.Host = header, header.Get("Host")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		die(err)
	}
	defer resp.Body.Close()
	if include {
		fmt.Printf("%s %s\n", resp.Proto, resp.Status)
		resp.Header.Write(os.Stdout)
		fmt.Println()
	}
	if fail && resp.StatusCode >= 400 {
		os.Exit(22)
	}
	if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
		die(err)
	}
}

func die(err error) {
	fmt.Fprintln(os.Stderr, "curl:", err)
	os.Exit(1)
}
