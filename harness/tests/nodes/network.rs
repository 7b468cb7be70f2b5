use super::{Run, said, sh};
use podferry::client::Vantage;
use podferry::node::SharedNode;
use podferry::provider::Provider;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Says `text` to the first who connects.
fn say(listener: TcpListener, text: &str) -> thread::JoinHandle<()> {
    let text = text.to_owned();
    thread::spawn(move || listener.accept().unwrap().0.write_all(text.as_bytes()).unwrap())
}

fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    (address, port).into()
}

/// What a client at this place hears.
fn hear(vantage: Vantage, address: SocketAddr) -> String {
    let client = move || {
        vantage.enter().unwrap();
        let mut text = String::new();
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    thread::spawn(client).join().unwrap()
}

async fn hear_from(node: &SharedNode, address: SocketAddr) -> String {
    said(node, &format!("busybox nc {} {} </dev/null", address.ip(), address.port())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_and_clients_reach_each_other() {
    let run = Run::up().await;
    assert_ne!(run.a.address(), run.b.address());
    said(&run.a, &format!("busybox ping -c 1 -W 2 {}", run.b.address())).await;
    said(&run.b, &format!("busybox ping -c 1 -W 2 {}", run.a.address())).await;

    let from_b = say(run.a.listen(at(run.a.address(), 7000)).unwrap(), "for b");
    assert_eq!(hear_from(&run.b, at(run.a.address(), 7000)).await, "for b");
    from_b.join().unwrap();

    let from_client = say(run.a.listen(at(Ipv4Addr::UNSPECIFIED, 7001)).unwrap(), "for a client");
    assert_eq!(hear(run.provider.vantage(), at(run.a.address(), 7001)), "for a client");
    from_client.join().unwrap();

    // The registry's place: the node itself sees it, nobody else does.
    let local = say(run.a.listen(at(Ipv4Addr::LOCALHOST, 5000)).unwrap(), "for a itself");
    let refused = run.b.output(sh(&format!("busybox nc {} 5000 </dev/null", run.a.address()))).await.unwrap();
    assert_ne!(refused.code, 0);
    assert_eq!(said(&run.a, "busybox nc localhost 5000 </dev/null").await, "for a itself");
    local.join().unwrap();
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pod_networks_are_routed() {
    let run = Run::up().await;
    let [x, y, z, _] = run.b.pod_network().octets();
    let pod = Ipv4Addr::new(x, y, z, 9);
    said(&run.b, &format!("ip link add pods type bridge && ip link set pods up && ip addr add {pod}/24 dev pods"))
        .await;
    let listener = run.b.listen(at(pod, 80)).unwrap();
    let first = say(listener.try_clone().unwrap(), "pod");
    assert_eq!(hear_from(&run.a, at(pod, 80)).await, "pod");
    first.join().unwrap();
    let second = say(listener, "pod");
    assert_eq!(hear(run.provider.vantage(), at(pod, 80)), "pod");
    second.join().unwrap();
    assert_eq!(said(&run.a, "cat /proc/sys/net/ipv4/ip_forward").await, "1");
    run.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_do_not_meet() {
    let (one, two) = tokio::join!(Run::up(), Run::up());
    assert_eq!(one.a.address(), two.a.address().min(one.a.address()), "runs use the same addresses");
    let mut listeners = Vec::new();
    for (run, text) in [(&one, "one"), (&two, "two")] {
        for node in [&run.a, &run.b] {
            let text = format!("{text} {}", node.name());
            listeners.push(say(node.listen(at(node.address(), 7000)).unwrap(), &text));
        }
    }
    for (run, text) in [(&one, "one"), (&two, "two")] {
        for node in [&run.a, &run.b] {
            assert_eq!(hear(run.provider.vantage(), at(node.address(), 7000)), format!("{text} {}", node.name()));
        }
    }
    listeners.into_iter().for_each(|l| l.join().unwrap());
    one.down().await;
    assert_eq!(said(&two.a, "echo still here").await, "still here");
    two.down().await;
}
