# syntax=docker/dockerfile:1
# docker build --build-arg ROS_DISTRO=jazzy -t seg_node .
# docker run --rm --shm-size=1g seg_node ros2 launch seg_node carla.launch.py
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive
WORKDIR /ws

# What apt has, by the manifest alone: this layer stays until package.xml changes.
COPY package.xml src/seg_node/package.xml
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make python3-venv \
    && rosdep update --rosdistro "${ROS_DISTRO}" \
    && rosdep install --from-paths src --ignore-src --default-yes \
    && rm -rf /var/lib/apt/lists/*

# What apt has not, beside the workspace.
COPY Makefile src/seg_node/Makefile
COPY scripts src/seg_node/scripts
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" \
    && make -C src/seg_node ros-setup PYTHON=/usr/bin/python3

COPY . src/seg_node
RUN source "/opt/ros/${ROS_DISTRO}/setup.bash" \
    && colcon build --packages-select seg_node \
    && printf '%s\n' '#!/bin/bash' 'set -e' \
        "source /opt/ros/${ROS_DISTRO}/setup.bash" 'source /ws/install/setup.bash' 'exec "$@"' \
        > /entrypoint.sh \
    && chmod +x /entrypoint.sh

ENTRYPOINT ["/entrypoint.sh"]
CMD ["ros2", "run", "seg_node", "seg_node", "doctor"]
