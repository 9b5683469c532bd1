//! Custom resources as users of `kubectl` meet them.

use rstest::rstest;

use crate::terminal::{Terminal, assert_shows, line};

/// A definition with everything users see of one.
pub(crate) const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, shortNames: [gd], categories: [all, toys]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Size, type: integer, jsonPath: .spec.size}
    - {name: Colour, type: string, jsonPath: .spec.colour, priority: 1}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [size]
            x-kubernetes-validations:
            - {rule: "self.size <= 10 || self.colour == 'red'", message: "large gadgets are red"}
            - {rule: "self.colour == oldSelf.colour", message: "colour is immutable"}
            properties:
              size: {type: integer, minimum: 1, description: How large.}
              colour: {type: string, default: blue, enum: [blue, red]}
              replicas: {type: integer}
          status:
            type: object
            properties:
              conditions:
                type: array
                items: {type: object, properties: {type: {type: string}, status: {type: string}}}
"#;

fn gadget(spec: &str) -> String {
    format!("{{apiVersion: example.com/v1, kind: Gadget, metadata: {{name: a}}, spec: {spec}}}")
}

async fn defined() -> Terminal {
    let terminal = Terminal::open().await;
    terminal.file("crd.yaml", DEFINITION);
    terminal.run("kubectl apply -f crd.yaml; kubectl wait --for=condition=Established crd/gadgets.example.com").await;
    terminal
}

#[tokio::test]
async fn a_custom_resource_is_used_like_a_built_in_one() {
    let terminal = defined().await;
    terminal.file("a.yaml", &gadget("{size: 3}"));
    terminal.run("kubectl apply -f a.yaml; kubectl apply --server-side --field-manager z -f a.yaml").await;
    let out = terminal.run("kubectl get gd -o wide; kubectl get toys -o name; kubectl get all -o name").await;
    assert_eq!(line(&out, "NAME"), ["NAME", "SIZE", "COLOUR"]);
    assert_eq!(line(&out, "a"), ["a", "3", "blue"]);
    assert_eq!(out.matches("gadget.example.com/a\n").count(), 2, "{out}");

    let out = terminal
        .run(
            r#"kubectl scale gd a --replicas=2
            kubectl patch gd a --subresource=status --type merge \
                -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]},"spec":{"size":9}}'
            kubectl wait --for=condition=Ready gd/a --timeout=5s
            kubectl get gd a -o jsonpath='{.spec.size} {.spec.replicas} {.metadata.generation}{"\n"}'
            kubectl explain gadget.spec.size"#,
        )
        .await;
    assert_shows(&out, &["gadget.example.com/a condition met", "\n3 2 2\n", "FIELD: size <integer>", "How large."]);
    assert_shows(&terminal.run("kubectl describe gd a").await, &["Colour:    blue", "Status:  True"]);

    terminal.run("kubectl delete crd gadgets.example.com").await;
    let refusal = terminal.refused("kubectl get --raw /apis/example.com/v1/gadgets").await;
    assert_shows(&refusal, &["the server could not find the requested resource"]);
    terminal.close().await;
}

#[rstest]
#[case::cel("{size: 30}", &["spec: Invalid value: large gadgets are red"])]
#[case::bounds("{size: 0, colour: green}", &[
    "spec.colour: Unsupported value: \"green\": supported values: \"blue\", \"red\"",
    "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
])]
#[case::required("{colour: blue}", &["spec.size: Required value"])]
#[case::unknown("{size: 3, weight: 1}", &["strict decoding error: unknown field \"spec.weight\""])]
#[tokio::test]
async fn a_custom_resource_against_its_schema_is_refused(#[case] spec: &str, #[case] expected: &[&str]) {
    let terminal = defined().await;
    terminal.file("a.yaml", &gadget(spec));
    assert_shows(&terminal.refused("kubectl apply -f a.yaml").await, expected);
    terminal.refused("kubectl get gd a").await;
    terminal.close().await;
}

#[tokio::test]
async fn a_custom_resource_is_pruned_and_keeps_what_is_immutable() {
    let terminal = defined().await;
    terminal.file("a.yaml", &gadget("{size: 3, weight: 1}"));
    terminal.run("kubectl apply -f a.yaml --validate=false").await;
    assert_eq!(terminal.run("kubectl get gd a -o jsonpath={.spec}").await, r#"{"colour":"blue","size":3}"#);
    let refusal = terminal.refused(r#"kubectl patch gd a --type merge -p '{"spec":{"colour":"red"}}'"#).await;
    assert_shows(&refusal, &["colour is immutable"]);
    assert_shows(
        &terminal.refused("kubectl patch gd a -p '{}'").await,
        &["strategic-merge-patch+json is not supported"],
    );
    terminal.close().await;
}
