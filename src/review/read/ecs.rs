//! Task definitions of ECS, and Dockerrun.aws.json (version 2) of Elastic Beanstalk, which is made of the same parts.

use crate::config::yaml::Value;

use super::super::capabilities::{Platform, Role};
use super::super::model::{Container, Flag, Mount, Variable, Workload};
use super::{Place, capability, role, whole};

/// The task of a document; `aws ecs describe-task-definition` wraps it.
pub fn workload(document: &Value, number: usize) -> Workload {
    let root = Place::root(document);
    let task = root.get("taskDefinition").unwrap_or(root);
    let platform = match task.get("AWSEBDockerrunVersion") {
        Some(_) => Platform::Beanstalk,
        None if task.texts("requiresCompatibilities").iter().any(|(word, _)| word == "FARGATE") => Platform::Fargate,
        None => Platform::EcsEc2,
    };
    let mut containers: Vec<Container> =
        task.items("containerDefinitions").iter().map(|place| container(&task, place)).collect();
    whole(&mut containers);
    let mode = task.text("networkMode").unwrap_or("bridge");
    let name = match platform {
        Platform::Beanstalk => "Dockerrun.aws.json".to_owned(),
        _ => format!("task {}", task.text("family").unwrap_or("without a family")),
    };
    Workload {
        document: number,
        platform,
        name,
        namespace: None,
        host_pid: task.says("pidMode", "host"),
        host_network: task.says("networkMode", "host"),
        host_ipc: task.says("ipcMode", "host"),
        shares_loopback: Some(platform == Platform::Fargate || mode == "awsvpc" || mode == "host"),
        at: task.at,
        containers,
        settings: Vec::new(),
    }
}

fn container(task: &Place, place: &Place) -> Container {
    let (name, image) = (place.text("name").unwrap_or(""), place.text("image").unwrap_or(""));
    let mut variables = place.variables("environment");
    let secret = |secret: &Place| Some(Variable::new(secret.text("name")?, None, secret.at.clone()));
    variables.extend(place.items("secrets").iter().filter_map(secret));
    let role = match role(image, name, "", &variables) {
        Role::Agent if name.starts_with("init") => Role::Init,
        role => role,
    };
    let volumes = task.items("volumes");
    let mount = |mount: &Place| {
        let volume = volumes.iter().find(|volume| volume.text("name") == mount.text("sourceVolume"))?;
        Some(Mount {
            host: volume.text("host/sourcePath")?.to_owned(),
            path: mount.text("containerPath").unwrap_or("").to_owned(),
            writable: !mount.flag("readOnly").on,
            propagates: false,
            at: mount.at.clone(),
        })
    };
    let unread = |file: &Place| (file.text("value").unwrap_or("a file").to_owned(), file.at.clone());
    let options = place.texts("dockerSecurityOptions");
    let option = |words: [&str; 2]| {
        let found = options.iter().find(|(text, _)| words.contains(&text.as_str()));
        Flag { on: found.is_some(), at: found.map(|(_, at)| at.clone()) }
    };
    let devices = place.items("linuxParameters/devices");
    let device =
        |device: &Place| (format!("the device {}", device.text("hostPath").unwrap_or_default()), device.at.clone());
    let capabilities = place.texts("linuxParameters/capabilities/add");
    Container {
        name: name.to_owned(),
        role,
        image: image.to_owned(),
        at: place.at.clone(),
        variables,
        unread: place.items("environmentFiles").iter().map(unread).collect(),
        capabilities: capabilities.into_iter().map(|(name, at)| (capability(&name), at)).collect(),
        privileged: place.flag("privileged"),
        unconfined: option(["apparmor:unconfined", "apparmor=unconfined"]),
        unfiltered: option(["seccomp:unconfined", "seccomp=unconfined"]),
        host_cgroup: Flag { on: true, at: None },
        host_users: Flag::default(),
        needless: devices.iter().map(device).collect(),
        user: place.int("user"),
        mounts: place.items("mountPoints").iter().filter_map(mount).collect(),
        ports: place
            .items("portMappings")
            .iter()
            .filter_map(|port| port.int("containerPort"))
            .map(|(n, _)| n)
            .collect(),
        read_only_root: None,
        network: None,
    }
}
